// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing

/// Quantised weights against public decoders; see `Tests/Fixtures/make_weight_fixtures.py`.
@Suite struct WeightFormatTests {
    private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures/weights")
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test(
        "blocks are decoded as the format's own package does",
        arguments: [
            ("Q4_0", 2), ("Q4_1", 3), ("Q5_0", 6), ("Q5_1", 7), ("Q8_0", 8), ("Q2_K", 10),
            ("Q3_K", 11), ("Q4_K", 12), ("Q5_K", 13), ("Q6_K", 14), ("IQ4_NL", 20), ("IQ4_XS", 23),
        ] as [(String, UInt32)])
    func blocks(name: String, type: UInt32) throws {
        let goldens = try SafetensorsFile(
            url: Self.fixtures.appending(path: "blocks.safetensors"))
        let bytes = try #require(goldens.tensor(named: name + ".bytes"))
        let expected = try #require(goldens.tensor(named: name + ".numbers")).floats()
        // Twice, so that a second row has another place in the file.
        let file = GGUFBuilder(tensors: [
            .init(name: "t", shape: [2, 512], type: type, bytes: Array(bytes.bytes) + bytes.bytes)
        ])
        try folder.write(file.bytes, to: "t.gguf")
        let tensor = try #require(try TensorStore(folder: folder.url)["t"])
        #expect(tensor.shape == [2, 512] && tensor.storage == name)
        let numbers = try tensor.floats()
        let worst = zip(numbers, expected + expected).map { abs($0 - $1) }.max() ?? .infinity
        // Both multiply in f32, in one order or another.
        #expect(worst <= 1e-6 * (expected.map(abs).max() ?? 0))
        #expect(try tensor.floats(in: 700..<703) == Array(numbers[700..<703]))
        #expect(try tensor.floats(in: 512..<1024) == Array(numbers[512...]))
    }

    @Test("layers in the formats of ComfyUI mean what the writer says they mean") func comfy()
        throws
    {
        try FileManager.default.copyItem(
            at: Self.fixtures.appending(path: "comfy.safetensors"),
            to: folder.url.appending(path: "comfy.safetensors"))
        let store = try TensorStore(folder: folder.url)
        let goldens = try SafetensorsFile(
            url: Self.fixtures.appending(path: "comfy-numbers.safetensors"))
        #expect(store.names == goldens.tensors.keys.sorted())
        for name in store.names {
            let tensor = try #require(store[name])
            let golden = try #require(goldens.tensor(named: name))
            #expect(tensor.shape == golden.shape, "\(name)")
            let (numbers, expected) = (try tensor.floats(), try golden.floats())
            let worst = zip(numbers, expected).map { abs($0 - $1) }.max() ?? .infinity
            #expect(worst <= 1e-6 * (expected.map(abs).max() ?? 0), "\(name)")
        }
    }

    @Test("every byte of the two fp8 types") func smallFloats() throws {
        let goldens = try SafetensorsFile(
            url: Self.fixtures.appending(path: "blocks.safetensors"))
        for type in ["F8_E4M3", "F8_E5M2"] {
            let header = #"{"w.weight":{"dtype":"\#(type)","shape":[256],"data_offsets":[0,256]}}"#
            try folder.write(safetensors(header, dataBytes: 256), to: "w.safetensors")
            let tensor = try #require(try TensorStore(folder: folder.url)["w.weight"])
            let expected = try #require(goldens.tensor(named: type + ".numbers")).floats()
            let numbers = try tensor.floats()
            for byte in 0..<256 {
                #expect(
                    numbers[byte] == expected[byte] || numbers[byte].isNaN && expected[byte].isNaN,
                    "\(type) \(byte)")
            }
        }
    }

    @Test(
        "what cannot be read is refused by name",
        arguments: [
            (#""a.qweight":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}"#, "Nunchaku"),
            (#""a.scales":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, "MLX"),
            (#""a.weight":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]}"#, "U8"),
            (#""a.weight":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]}"#, "no scale"),
        ])
    func refused(entry: String, mentions: String) throws {
        try folder.write(safetensors("{\(entry)}", dataBytes: 4), to: "a.safetensors")
        let error = try failure { try TensorStore(folder: folder.url) }
        #expect(error.message.contains(mentions), "\(error)")
    }
}
