// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing

@Suite struct SafetensorsWriterTests {
    @Test("what is written is read back") func roundTrip() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "out.safetensors")
        let metadata = ["format": "pt", "weird \"key\"\n": "tab\there, 中文 😀 \u{1}"]
        try SafetensorsFile.write(
            [
                NewTensor("u8", shape: [3], .u8([1, 2, 255])),
                NewTensor("é \"q\"", shape: [2, 2], .f32([1, -2, 0.5, .infinity])),
                NewTensor("ids", shape: [1, 3], .i32([-1, 0, 151_643])),
                NewTensor("bf", shape: [2], .bf16(rounding: [1.00390625, -3])),
                NewTensor("scalar", shape: [], .f32([7])),
                NewTensor("none", shape: [0, 4], .f32([])),
            ], metadata: metadata, to: url)
        let file = try SafetensorsFile(url: url)
        #expect(file.metadata == metadata)
        #expect(try #require(file.tensor(named: "é \"q\"")).floats() == [1, -2, 0.5, .infinity])
        #expect(try #require(file.tensor(named: "ids")).int32s() == [-1, 0, 151_643])
        #expect(try #require(file.tensor(named: "u8")).int32s() == [1, 2, 255])
        // 1 + 2^-8 is halfway between two bf16 numbers; the even one is 1.
        #expect(try #require(file.tensor(named: "bf")).floats() == [1, -3])
        #expect(try #require(file.tensor(named: "scalar")).shape == [])
        #expect(try #require(file.tensor(named: "none")).shape == [0, 4])
        #expect(try folder.contents() == ["out.safetensors"])
    }

    @Test("the data begins at a multiple of 8 and every tensor at a multiple of its width")
    func alignment() throws {
        let folder = try TemporaryFolder()
        var random = SeededGenerator(seed: 3)
        for round in 0..<50 {
            let tensors = (0..<Int.random(in: 0...9, using: &random)).map { index in
                let count = Int.random(in: 0...7, using: &random)
                let numbers: NewTensor.Numbers =
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: .f32([Float](repeating: Float(index), count: count))
                    case 1: .u8([UInt8](repeating: UInt8(index), count: count))
                    default: .bf16([UInt16](repeating: UInt16(index), count: count))
                    }
                return NewTensor("\(index)", shape: [count], numbers)
            }
            let url = folder.url.appending(path: "\(round).safetensors")
            try SafetensorsFile.write(tensors, to: url)
            let bytes = try Data(contentsOf: url)
            #expect(bytes[0] % 8 == 0)
            let file = try SafetensorsFile(url: url)
            #expect(file.tensors.count == tensors.count)
            for entry in file.tensors.values {
                #expect(entry.byteRange.lowerBound.isMultiple(of: entry.dtype.byteWidth))
            }
            // No gaps: other readers refuse them.
            let covered = file.tensors.values.reduce(0) { $0 + $1.byteRange.count }
            #expect(8 + Int(bytes[0]) + Int(bytes[1]) * 256 + covered == bytes.count)
            // The order in which tensors are given does not matter.
            let other = folder.url.appending(path: "other.safetensors")
            try SafetensorsFile.write(tensors.reversed(), to: other)
            #expect(try Data(contentsOf: other) == bytes)
        }
    }

    @Test("bytes may come in pieces and in any order") func streaming() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "out.safetensors")
        var writer = try SafetensorsWriter(
            to: url,
            tensors: [
                .init(name: "a", dtype: .i32, shape: [4]), .init(name: "b", dtype: .u8, shape: [3]),
            ])
        try writer.append([1, 2] as [UInt8], to: "b")
        try writer.append([10, 11] as [Int32], to: "a")
        try writer.append([3] as [UInt8], to: "b")
        try writer.append([12, 13] as [Int32], to: "a")
        #expect(try folder.contents().allSatisfy { $0.hasPrefix(".") })
        try writer.finish()
        let file = try SafetensorsFile(url: url)
        #expect(try #require(file.tensor(named: "a")).int32s() == [10, 11, 12, 13])
        #expect(try #require(file.tensor(named: "b")).int32s() == [1, 2, 3])
    }

    @Test("an unfinished writer leaves the old file and nothing else") func abandons() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write("old", to: "out.safetensors")
        do {
            var writer = try SafetensorsWriter(
                to: url, tensors: [.init(name: "a", dtype: .u8, shape: [4])])
            try writer.append([1, 2] as [UInt8], to: "a")
            _ = consume writer
        }
        #expect(try folder.contents() == ["out.safetensors"])
        #expect(try String(contentsOf: url, encoding: .utf8) == "old")
    }

    @Test("too few, too many and unknown bytes are refused") func refusesWrongBytes() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "out.safetensors")
        let short = try failure {
            var writer = try SafetensorsWriter(
                to: url, tensors: [.init(name: "a", dtype: .u8, shape: [4])])
            try writer.append([1, 2] as [UInt8], to: "a")
            try writer.finish()
        }
        #expect(short.code == .writeFailed && short.message.contains("'a'"))
        #expect(
            try failure {
                try SafetensorsFile.write([NewTensor("a", shape: [2], .u8([1, 2, 3]))], to: url)
            }.code == .writeFailed)
        #expect(
            try failure {
                var writer = try SafetensorsWriter(to: url, tensors: [])
                try writer.append([1] as [UInt8], to: "a")
            }.code == .writeFailed)
        #expect(try folder.contents().isEmpty)
    }

    @Test("impossible tensors and folders are refused") func refusesImpossible() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "out.safetensors")
        let twice = SafetensorsWriter.Declaration(name: "a", dtype: .u8, shape: [1])
        let negative = SafetensorsWriter.Declaration(name: "a", dtype: .u8, shape: [-1])
        let huge = SafetensorsWriter.Declaration(name: "a", dtype: .f64, shape: [.max, 2])
        let reserved = SafetensorsWriter.Declaration(name: "__metadata__", dtype: .u8, shape: [1])
        for tensors in [[twice, twice], [negative], [huge], [reserved]] {
            #expect(
                try failure { _ = try SafetensorsWriter(to: url, tensors: tensors) }.code
                    == .writeFailed)
        }
        let nowhere = folder.url.appending(path: "absent/out.safetensors")
        let error = try failure { try SafetensorsFile.write([], to: nowhere) }
        #expect(error.code == .writeFailed && error.remedy == "Create the folder first.")
    }
}
