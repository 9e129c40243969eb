// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing

@Suite struct TensorStoreTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ names: [String], to file: String, shape: [Int] = [1]) throws {
        let count = shape.reduce(1, *)
        try SafetensorsFile.write(
            names.map {
                NewTensor($0, shape: shape, .f32([Float](repeating: Float($0.count), count: count)))
            }, to: folder.url.appending(path: file))
    }

    private func writeIndex(
        _ map: [String: String], to file: String = "model.safetensors.index.json"
    )
        throws
    {
        let data = try JSONEncoder().encode(["weight_map": map])
        try folder.write(data, to: file)
    }

    // MARK: Choice of files

    @Test(
        "a single file is found, whatever its name",
        arguments: [
            "diffusion_pytorch_model.safetensors", "model.safetensors", "model.bf16.safetensors",
            "anything.safetensors",
        ])
    func findsSingle(name: String) throws {
        try write(["a"], to: name)
        try folder.write("{}", to: "config.json")
        #expect(try TensorStore(folder: folder.url).names == ["a"])
    }

    @Test("the usual name wins over variants beside it") func prefersUsual() throws {
        try write(["usual"], to: "model.safetensors")
        try write(["variant"], to: "model.fp16.safetensors")
        #expect(try TensorStore(folder: folder.url).names == ["usual"])
    }

    @Test(
        "shards are joined by their index",
        arguments: [
            "model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.json",
            "diffusion_pytorch_model.bf16.safetensors.index.json",
            "diffusion_pytorch_model.safetensors.index.bf16.json",
            "model.safetensors.index.fp16.json",
        ])
    func joinsShards(index: String) throws {
        try write(["a", "bb"], to: "m-00001-of-00002.safetensors")
        try write(["ccc"], to: "m-00002-of-00002.safetensors")
        try writeIndex(
            [
                "a": "m-00001-of-00002.safetensors", "bb": "m-00001-of-00002.safetensors",
                "ccc": "m-00002-of-00002.safetensors",
            ], to: index)
        let store = try TensorStore(folder: folder.url)
        #expect(store.names == ["a", "bb", "ccc"])
        #expect(try #require(store["ccc"]).floats() == [3])
        #expect(store["d"] == nil)
    }

    @Test(
        "shards without an index are named as that",
        arguments: [
            ["m-00001-of-00003.safetensors"],
            ["model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"],
            ["d.bf16-00001-of-00002.safetensors", "d.bf16-00002-of-00002.safetensors"],
        ])
    func shardsWithoutIndex(files: [String]) throws {
        for (index, file) in files.enumerated() { try write(["a\(index)"], to: file) }
        try folder.write("{}", to: "config.json")
        let error = #expect(throws: CheckpointError.self) { try TensorStore(folder: folder.url) }
        #expect(error?.code == .incomplete)
        #expect(error?.message.contains("holds \(files.count) of ") == true)
        #expect(error?.message.contains("no index") == true)
        #expect(error?.message.contains(files[0]) == true)
    }

    @Test("the index says which of two equal names counts") func indexDecides() throws {
        try write(["a"], to: "one.safetensors")
        try write(["a", "b"], to: "two.safetensors", shape: [2])
        try writeIndex(["a": "one.safetensors", "b": "two.safetensors"])
        #expect(try #require(try TensorStore(folder: folder.url)["a"]).shape == [1])
    }

    @Test("several unusual names are refused") func refusesSeveral() throws {
        try write(["a"], to: "one.safetensors")
        try write(["a"], to: "two.safetensors")
        let error = try failure { try TensorStore(folder: folder.url) }
        #expect(error.code == .unsupported && error.message.contains("'two.safetensors'"))
    }

    @Test("folders without a checkpoint are refused") func refusesNone() throws {
        #expect(try failure { try TensorStore(folder: folder.url) }.code == .incomplete)
        try folder.write("x", to: "pytorch_model.bin")
        let error = try failure { try TensorStore(folder: folder.url) }
        #expect(error.code == .unsupported && error.message.contains("pytorch_model.bin"))
        let absent = folder.url.appending(path: "absent")
        #expect(try failure { try TensorStore(folder: absent) }.code == .notFound)
        let file = folder.url.appending(path: "pytorch_model.bin")
        #expect(try failure { try TensorStore(folder: file) }.code == .unreadable)
    }

    // MARK: Index

    @Test("a missing shard is named") func missingShard() throws {
        try writeIndex(["a": "gone.safetensors"])
        let error = try failure { try TensorStore(folder: folder.url) }
        #expect(error.code == .incomplete && error.message.contains("'gone.safetensors'"))
    }

    @Test("tensors that are not where the index says are named") func misplacedTensor() throws {
        try write(["a"], to: "one.safetensors")
        try write(["b"], to: "two.safetensors")
        try writeIndex(["a": "two.safetensors", "b": "two.safetensors", "c": "one.safetensors"])
        let error = try failure { try TensorStore(folder: folder.url) }
        #expect(error.code == .incomplete && error.message.contains("'a', 'c'"))
    }

    @Test(
        "file names that lead elsewhere are refused",
        arguments: [
            "../secret.safetensors", "/etc/passwd.safetensors", "a/b.safetensors", "..", "",
            "a\\b.safetensors", ".hidden.safetensors", "a\u{0}.safetensors", "passwd",
        ])
    func refusesEscape(name: String) throws {
        try writeIndex(["a": name])
        let error = try failure { try TensorStore(folder: folder.url) }
        #expect(error.code == .badConfig && error.message.contains("expected the name"), "\(error)")
    }

    @Test(
        "a damaged index is refused",
        arguments: [
            "", "[]", "{}", "{\"weight_map\": []}", "{\"weight_map\": {}}",
            "{\"weight_map\": {\"a\": 1}}", "{\"weight_map\": {\"a\": \"m.safetensors\",",
            "{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"y.safetensors\"}}",
        ])
    func refusesDamagedIndex(text: String) throws {
        try folder.write(text, to: "model.safetensors.index.json")
        #expect(try failure { try TensorStore(folder: folder.url) }.code == .badConfig)
    }

    // MARK: Views

    @Test("a prefix is taken off where it stands") func stripsPrefix() throws {
        try write(["model.a", "lm_head.weight", "model.model.b"], to: "model.safetensors")
        let store = try TensorStore(folder: folder.url).strippingPrefix("model.")
        #expect(store.names == ["a", "lm_head.weight", "model.b"])
        #expect(store["a"]?.name == "a")
        try write(["model.a", "a"], to: "model.safetensors")
        let both = try TensorStore(folder: folder.url)
        #expect(try failure { try both.strippingPrefix("model.") }.code == .unexpectedTensor)
    }

    @Test("released pages are read again") func releasesPages() throws {
        let numbers = (0..<100_000).map(Float.init)
        try SafetensorsFile.write(
            [
                NewTensor("a", shape: [100_000], .f32(numbers)),
                NewTensor("empty", shape: [0], .f32([])),
            ],
            to: folder.url.appending(path: "model.safetensors"))
        let store = try TensorStore(folder: folder.url)
        store.willNeed("a")
        for name in ["a", "a", "empty", "absent"] {
            store.releasePages(of: name)
            #expect(try #require(store["a"]).floats() == numbers)
        }
    }

    // MARK: Validation

    @Test("a store that fits is accepted") func acceptsFitting() throws {
        try write(["a", "norm.weight"], to: "model.safetensors", shape: [2, 3])
        let store = try TensorStore(folder: folder.url)
        try store.validate([TensorSpec("a", [2, 3])]) { $0 == "norm.weight" }
    }

    @Test("everything wrong is reported at once") func reportsAll() throws {
        try SafetensorsFile.write(
            [
                NewTensor("good", shape: [1], .f32([1])), NewTensor("extra", shape: [1], .f32([1])),
                NewTensor("bent", shape: [2], .f32([1, 2])),
                NewTensor("bytes", shape: [1], .u8([1])),
                NewTensor("fine extra", shape: [1], .u8([1])),
            ], to: folder.url.appending(path: "model.safetensors"))
        let store = try TensorStore(folder: folder.url)
        let specs = ["good", "bent", "bytes", "gone"].map { TensorSpec($0, [1]) }
        let error = try failure { try store.validate(specs) { $0 == "fine extra" } }
        #expect(error.code == .missingTensor)
        for part in [
            "1 tensor is missing ('gone')", "1 tensor is not known ('extra')",
            "'bent' is [2], expected [1]", "'bytes' is U8",
        ] {
            #expect(error.message.contains(part), "\(error)")
        }
        #expect(!error.message.contains("good") && !error.message.contains("fine"))
    }

    @Test("long lists are cut and counted") func cutsLists() throws {
        try write(["a"], to: "model.safetensors")
        let store = try TensorStore(folder: folder.url)
        let specs = (0..<500).map { TensorSpec("layers.\($0)", [1]) }
        let error = try failure { try store.validate(specs) { _ in true } }
        #expect(error.message.contains("500 tensors are missing"))
        #expect(error.message.contains("'layers.7' and 492 more"))
        let other = try failure { try store.validate([TensorSpec("a", [2])]) }
        #expect(other.code == .badTensor)
        #expect(try failure { try store.validate([]) }.code == .unexpectedTensor)
    }

    @Test("names of dots only are kept in the file of a preview decoder")
    func previewNamesOfDots() throws {
        try write(["", ".", "..", "1", "1.a", "0.b", "-1.c"], to: "preview.safetensors")
        let store = try TensorStore(previewFile: folder.url.appending(path: "preview.safetensors"))
        #expect(
            store.names == ["", "-1.c", ".", "..", "0.b", "1", "decoder.layers.0.a"])
    }
}
