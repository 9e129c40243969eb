// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing

@Suite struct SafetensorsFileTests {
    /// A file that must be refused, and how.
    struct BadFile: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        let code: CheckpointError.Code
        let mentions: String

        init(
            _ name: String, _ bytes: [UInt8], _ code: CheckpointError.Code = .badHeader,
            mentions: String
        ) {
            self.name = name
            self.bytes = bytes
            self.code = code
            self.mentions = mentions
        }

        /// A file with one tensor `t` of the given description.
        init(tensor: String, _ code: CheckpointError.Code = .badHeader, mentions: String) {
            self.init(
                tensor, safetensors("{\"t\":\(tensor)}", dataBytes: 16), code, mentions: mentions)
        }

        var testDescription: String { name }
    }

    private static func length(_ value: UInt64) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    static let badFiles: [BadFile] = [
        BadFile("empty", [], .truncated, mentions: "is empty"),
        BadFile("seven bytes", [1, 0, 0, 0, 0, 0, 0], .truncated, mentions: "7 bytes"),
        BadFile("length only", length(2), .truncated, mentions: "header of 2"),
        BadFile(
            "header cut", Array(safetensors("{\"a\":1}").dropLast(2)), .truncated,
            mentions: "header of 7"),
        BadFile("10 GB header", length(10_000_000_000) + Array("{}".utf8), mentions: "10000000000"),
        BadFile("largest header", length(.max) + Array("{}".utf8), mentions: "at most"),
        BadFile("no header", length(0), mentions: "expected '{'"),
        BadFile("not JSON", safetensors("hello"), mentions: "expected '{'"),
        BadFile("header is a list", safetensors("[]"), mentions: "expected '{'"),
        BadFile("header is a number", safetensors("7"), mentions: "expected '{'"),
        BadFile("header without end", safetensors("{\"a\":"), mentions: "the end"),
        BadFile("text after header", safetensors("{}x"), mentions: "expected the end"),
        BadFile("two values", safetensors("{}{}"), mentions: "expected the end"),
        BadFile(
            "a name of 1,001 bytes",
            safetensors("{\"\(String(repeating: "x", count: 1001))\":\(entry("U8", "[0]", 0, 0))}"),
            mentions: "has 1001 bytes, expected at most 1000"),
        BadFile(
            "a metadata key of 1,001 bytes",
            safetensors(
                "{\"__metadata__\":{\"\(String(repeating: "x", count: 1001))\":\"\"}}"),
            mentions: "has 1001 bytes, expected at most 1000"),
        BadFile(
            "100,001 tensors",
            safetensors(
                "{"
                    + (0...100_000).map { "\"\($0)\":\(entry("U8", "[0]", 0, 0))" }
                    .joined(separator: ",") + "}"), mentions: "more than 100000 tensors"),
        BadFile("trailing comma", safetensors("{\"__metadata__\":{},}"), mentions: "a string"),
        BadFile(
            "bad UTF-8", length(6) + Array("{\"".utf8) + [0xFF, 0xFE, 0x22, 0x7D],
            mentions: "not UTF-8"),
        BadFile(
            "deep nesting", safetensors("{\"a\":" + String(repeating: "[", count: 100_000)),
            mentions: "expected '{'"),
        BadFile(
            "GGUF", Array("GGUF".utf8) + [UInt8](repeating: 3, count: 40), .unsupported,
            mentions: "GGUF"),
        BadFile(
            "zip", Array("PK\u{3}\u{4}".utf8) + [UInt8](repeating: 9, count: 40), .unsupported,
            mentions: "pickle"),
        BadFile(
            "LFS pointer", Array("version https://git-lfs.github.com/spec/v1\n".utf8), .unsupported,
            mentions: "git lfs pull"),
        BadFile(
            "web page", Array("<!DOCTYPE html><html></html>".utf8), .unsupported,
            mentions: "web page"),
        BadFile(
            "JSON alone", Array("{\"metadata\": {}, \"weight_map\": {}}".utf8), .unsupported,
            mentions: "JSON"),
        BadFile(tensor: "{}", mentions: "lacks"),
        BadFile(tensor: "[]", mentions: "expected '{'"),
        BadFile(tensor: "null", mentions: "expected '{'"),
        BadFile(tensor: "{\"dtype\":\"F32\",\"shape\":[4]}", mentions: "lacks"),
        BadFile(tensor: entry("F99", "[4]", 0, 16), mentions: "unknown number type 'F99'"),
        BadFile(tensor: entry("F32", "[4]", 0, 8), mentions: "8 bytes, expected 16"),
        BadFile(tensor: entry("F32", "[3]", 0, 16), mentions: "16 bytes, expected 12"),
        BadFile(tensor: entry("F32", "[4]", 16, 0), mentions: "before its start"),
        BadFile(tensor: entry("F32", "[8]", 0, 32), .truncated, mentions: "only 16"),
        BadFile(
            tensor: entry("U8", "[9223372036854775807]", 0, .max), .truncated, mentions: "only 16"),
        BadFile(tensor: entry("F32", "[-4]", 0, 16), mentions: "not negative"),
        BadFile(tensor: entry("F32", "[4]", -16, 0), mentions: "not negative"),
        BadFile(tensor: entry("F32", "[4.0]", 0, 16), mentions: "whole number"),
        BadFile(tensor: entry("F32", "[1e2]", 0, 16), mentions: "whole number"),
        BadFile(tensor: entry("F32", "[\"4\"]", 0, 16), mentions: "expected a number"),
        BadFile(tensor: entry("F32", "[04]", 0, 16), mentions: "leading zero"),
        BadFile(
            tensor: entry("F32", "[4294967296,4294967296]", 0, 16), mentions: "impossible shape"),
        BadFile(tensor: entry("F32", "[9223372036854775807]", 0, 16), mentions: "impossible shape"),
        BadFile(
            tensor: entry("F32", "[0,9223372036854775807]", 0, 0), mentions: "impossible shape"),
        BadFile(
            tensor: entry("U8", "[4294967296,4294967296,0]", 0, 0), mentions: "impossible shape"),
        BadFile(tensor: entry("F32", "[99999999999999999999]", 0, 16), mentions: "whole number"),
        BadFile(tensor: entry("F32", "[1,1,1,1,1,1,1,1,4]", 0, 16), mentions: "at most 8"),
        BadFile(tensor: entry("F32", "[0]", 0, 16), mentions: "expected 0"),
        BadFile(tensor: entry("F32", "4", 0, 16), mentions: "expected '['"),
        BadFile(
            tensor: "{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}",
            mentions: "data_offsets"),
        BadFile(
            tensor: "{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,8,16]}",
            mentions: "at most 2"),
        BadFile(
            tensor: "{\"dtype\":\"F32\",\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,16]}",
            mentions: "two entries"),
        BadFile(
            tensor: "{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"x\":1}",
            mentions: "unknown entry 'x'"),
        BadFile(
            "equal names",
            safetensors(
                "{\"a\":\(entry("U8", "[1]", 0, 1)),\"a\":\(entry("U8", "[1]", 1, 2))}",
                dataBytes: 2), mentions: "'a' is described twice"),
        BadFile(
            "escaped equal names",
            safetensors(
                "{\"a\":\(entry("U8", "[1]", 0, 1)),\"\\u0061\":\(entry("U8", "[1]", 1, 2))}",
                dataBytes: 2), mentions: "described twice"),
        BadFile(
            "two metadata", safetensors("{\"__metadata__\":{},\"__metadata__\":{}}"),
            mentions: "comes twice"),
        BadFile(
            "metadata with a number", safetensors("{\"__metadata__\":{\"a\":1}}"),
            mentions: "expected a string"),
        BadFile(
            "equal metadata", safetensors("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}"),
            mentions: "comes twice"),
        BadFile(
            "overlap",
            safetensors(
                "{\"a\":\(entry("U8", "[4]", 0, 4)),\"b\":\(entry("U8", "[4]", 3, 7))}",
                dataBytes: 8), mentions: "same bytes"),
        BadFile(
            "overlap, unsorted",
            safetensors(
                "{\"b\":\(entry("U8", "[4]", 4, 8)),\"a\":\(entry("U8", "[6]", 0, 6))}",
                dataBytes: 8), mentions: "same bytes"),
        BadFile(
            "one inside the other",
            safetensors(
                "{\"a\":\(entry("U8", "[8]", 0, 8)),\"b\":\(entry("U8", "[2]", 3, 5))}",
                dataBytes: 8), mentions: "same bytes"),
        BadFile(
            "newline in a name",
            safetensors("{\"a\\nb\":\(entry("X", "[8]", 0, 8))}", dataBytes: 8),
            mentions: "'a\\u{a}b'"),
    ]

    private static func entry(_ dtype: String, _ shape: String, _ begin: Int, _ end: Int) -> String
    {
        "{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
    }

    @Test("a malicious or damaged file is refused in one sentence", arguments: badFiles)
    func refuses(_ file: BadFile) throws {
        let folder = try TemporaryFolder()
        let url = try folder.write(file.bytes, to: "model.safetensors")
        let error = try failure { try SafetensorsFile(url: url) }
        #expect(error.code == file.code, "\(error)")
        #expect(error.description.contains(file.mentions), "\(error)")
        #expect(error.message.contains("model.safetensors"), "\(error)")
    }

    @Test("what is not a readable file is refused") func refusesNonFiles() throws {
        let folder = try TemporaryFolder()
        let files = FileManager.default
        #expect(try failure { try SafetensorsFile(url: folder.url) }.code == .unreadable)
        let absent = folder.url.appending(path: "absent.safetensors")
        #expect(try failure { try SafetensorsFile(url: absent) }.code == .notFound)
        let below = try folder.write("x", to: "file").appending(path: "below")
        #expect(try failure { try SafetensorsFile(url: below) }.code == .notFound)
        let loop = folder.url.appending(path: "loop")
        try files.createSymbolicLink(atPath: loop.path, withDestinationPath: "loop")
        let error = try failure { try SafetensorsFile(url: loop) }
        #expect(error.code == .unreadable && error.message.contains("link"))
        let device = URL(filePath: "/dev/zero")
        #expect(try failure { try SafetensorsFile(url: device) }.code == .unreadable)
    }

    @Test("a named pipe is refused without waiting for a writer", .timeLimit(.minutes(5)))
    func refusesPipe() throws {
        let folder = try TemporaryFolder()
        let pipe = folder.url.appending(path: "pipe")
        try #require(mkfifo(pipe.path, 0o600) == 0)
        #expect(try failure { try SafetensorsFile(url: pipe) }.code == .unreadable)
    }

    @Test("a file without read permission is refused", .enabled(if: geteuid() != 0))
    func refusesForbidden() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write(safetensors("{}"), to: "a.safetensors")
        try #require(chmod(url.path, 0) == 0)
        #expect(try failure { try SafetensorsFile(url: url) }.code == .denied)
    }

    @Test("unusual but legal headers are read") func readsUnusualHeaders() throws {
        let folder = try TemporaryFolder()
        let header = """
            { "z" : \(Self.entry("U8", "[2]", 6, 8)) ,
              "empty" : \(Self.entry("F32", "[0,9]", 3, 3)),
              "scalar":\(Self.entry("I16", "[]", 1, 3)),
              "__metadata__":{"k":"\\u00e9\\ud83d\\ude00"},
              "\\u4e2d": \(Self.entry("BOOL", "[1]", 5, 6)) }     \n
            """
        let file = try SafetensorsFile(
            url: try folder.write(safetensors(header, dataBytes: 10), to: "a.safetensors"))
        #expect(file.metadata == ["k": "é😀"])
        #expect(Set(file.tensors.keys) == ["z", "empty", "scalar", "中"])
        #expect(try #require(file.tensor(named: "empty")).floats() == [])
        #expect(try #require(file.tensor(named: "scalar")).int32s() == [0x0201])
        #expect(try #require(file.tensor(named: "z")).int32s() == [6, 7])
        #expect(file.tensor(named: "absent") == nil)
        let none = try SafetensorsFile(
            url: try folder.write(safetensors("{}"), to: "b.safetensors"))
        #expect(none.tensors.isEmpty && none.metadata.isEmpty)
    }

    @Test("any mutation of a file either opens within bounds or fails with CheckpointError")
    func survivesMutation() throws {
        let folder = try TemporaryFolder()
        let header = """
            {"__metadata__":{"format":"pt"},"a":\(Self.entry("F32", "[2,3]", 0, 24)),\
            "b.weight":\(Self.entry("BF16", "[4]", 24, 32)),"c":\(Self.entry("U8", "[0]", 32, 32))}
            """
        let original = safetensors(header, dataBytes: 32)
        let seed: UInt64 = 20_240_607
        var random = SeededGenerator(seed: seed)
        let url = folder.url.appending(path: "a.safetensors")
        let fragments = [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "0", "-1", "1e9", "9223372036854775807",
            "null", "\"F32\"", "\u{0}", "é",
        ].map { Array($0.utf8) }
        var opened = 0
        for round in 0..<2_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes[position] = UInt8.random(in: .min ... .max, using: &random)
                case 1: bytes.remove(at: position)
                case 2: bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random))
                case 3:
                    bytes[position] = UInt8(ascii: "0") + UInt8.random(in: 0...9, using: &random)
                default:
                    let fragment = fragments[Int.random(in: 0..<fragments.count, using: &random)]
                    bytes.insert(contentsOf: fragment, at: position)
                }
                if bytes.isEmpty { bytes = [0] }
            }
            try Data(bytes).write(to: url)
            do {
                let file = try SafetensorsFile(url: url)
                opened += 1
                for (name, entry) in file.tensors {
                    #expect(
                        entry.byteRange.upperBound <= bytes.count, "seed \(seed) round \(round)")
                    let tensor = try #require(file.tensor(named: name))
                    #expect(tensor.bytes.reduce(0) { $0 &+ Int($1) } >= 0)
                    if TensorStore.weightTypes.contains(tensor.dtype) {
                        #expect(try tensor.floats().count == tensor.count)
                    }
                }
            } catch {
                let failure = try #require(error as? CheckpointError, "seed \(seed) round \(round)")
                #expect(!failure.description.contains { $0.isNewline })
            }
        }
        // Mutations of the data alone must open, or the test would prove nothing.
        #expect(opened > 50)
    }

    @Test("random token soup after an honest length opens nothing and never crashes")
    func survivesTokenSoup() throws {
        let folder = try TemporaryFolder()
        var random = SeededGenerator(seed: 7)
        let tokens = [
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"dtype\"", "\"shape\"", "\"data_offsets\"",
            "\"F32\"", "0", "4", "-3", "1.5", "null", "true", " ", "\"__metadata__\"", "\"\\u12",
        ]
        let url = folder.url.appending(path: "a.safetensors")
        for _ in 0..<1_000 {
            let count = Int.random(in: 1...40, using: &random)
            let soup = (0..<count).map { _ in
                tokens[Int.random(in: 0..<tokens.count, using: &random)]
            }
            try Data(safetensors("{" + soup.joined(), dataBytes: 16)).write(to: url)
            do throws(CheckpointError) {
                let file = try SafetensorsFile(url: url)
                #expect(file.tensors.isEmpty)
            } catch {
                #expect(!error.description.contains { $0.isNewline })
            }
        }
    }

    @Test("the file stays mapped while a tensor of it lives, even after it is removed")
    func tensorKeepsFile() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write(
            safetensors("{\"a\":\(Self.entry("U8", "[4]", 0, 4))}", dataBytes: 4),
            to: "a.safetensors")
        let tensor = try #require(try SafetensorsFile(url: url).tensor(named: "a"))
        try FileManager.default.removeItem(at: url)
        #expect(try tensor.int32s() == [0, 1, 2, 3])
    }

    @Test("tensors are read from many tasks at once") func concurrentReads() async throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appending(path: "a.safetensors")
        let numbers = (0..<100_000).map(Float.init)
        try SafetensorsFile.write([NewTensor("a", shape: [100_000], .f32(numbers))], to: url)
        let tensor = try #require(try SafetensorsFile(url: url).tensor(named: "a"))
        let sums = try await withThrowingTaskGroup(of: Float.self, returning: [Float].self) {
            group in
            for _ in 0..<8 { group.addTask { try tensor.floats().reduce(0, +) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(sums == [Float](repeating: numbers.reduce(0, +), count: 8))
    }
}
