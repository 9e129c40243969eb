// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing
import ZImage

/// Every format of LoRA files, merged and beside the weights, against its formula.
@Suite("LoRA formats")
struct LoRAFormatTests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Models/emoji-nano")

    private func pipeline(_ loras: [LoRASource] = []) throws -> Pipeline<CPUBackend> {
        try Pipeline(
            model: try ModelDirectory(url: Self.model),
            device: try CPUBackend(precision: .f32, threads: 2), loras: loras)
    }

    /// What one step makes of noise.
    private func latents(
        _ pipeline: Pipeline<CPUBackend>, _ loras: [LoRASource] = []
    ) throws -> [Float] {
        var input = PipelineInput(
            prompt: "a red apple", width: 32, height: 48, steps: 1, guidanceScale: 2, seed: 5)
        input.loras = loras
        var generations = [try pipeline.begin(input)]
        try pipeline.step(&generations)
        return generations[0].latents.numbers
    }

    private func weights(_ module: LoRAWriter.Module) throws -> [Float] {
        let store = try ModelDirectory(url: Self.model).transformerStore()
        return try #require(store[module.name + ".weight"]).floats()
    }

    private static func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-lora-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    private func distance(_ a: [Float], _ b: [Float]) -> Float {
        let largest = b.map(abs).max() ?? 0
        return (zip(a, b).map { abs($0 - $1) }.max() ?? .infinity) / largest
    }

    /// Makes a file and holds it, merged and beside the weights, against its changes as a whole.
    private func check(
        _ name: String, scale: Double = 0.8, unmatched: [String] = [], unused: [String] = [],
        _ make: (inout LoRAWriter) throws -> Void
    ) throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        var writer = LoRAWriter(seed: 3)
        try make(&writer)
        let file = try writer.write("file.safetensors", in: folder)
        let whole = try writer.writeWhole("whole.safetensors", in: folder)
        let targets = try LoRATargets(model: try ModelDirectory(url: Self.model))
        let report = try LoRAFile(url: file).contents(for: targets).report
        #expect(report.unmatched == unmatched, "\(name)")
        #expect(report.unused == unused, "\(name)")
        #expect(report.matched == writer.changes.count, "\(name)")
        #expect(
            report.matchedKeys == writer.tensors.count - unmatched.count - unused.count, "\(name)")

        let plain = try pipeline()
        let without = try latents(plain)
        let merged = try latents(try pipeline([LoRASource(url: whole, scale: scale)]))
        #expect(distance(merged, without) > 1e-2, "\(name) changes too little to prove anything")
        let own = try latents(try pipeline([LoRASource(url: file, scale: scale)]))
        #expect(distance(own, merged) < 2e-4, "\(name), merged")
        let beside = try latents(plain, [LoRASource(url: file, scale: scale)])
        #expect(distance(beside, merged) < 2e-4, "\(name), beside the weights")
        let wholeBeside = try latents(plain, [LoRASource(url: whole, scale: scale)])
        #expect(distance(wholeBeside, merged) < 2e-4, "\(name), whole, beside the weights")
        #expect(try latents(plain).map(\.bitPattern) == without.map(\.bitPattern), "\(name), after")
    }

    @Test("PEFT, of ranks that vary, with adapters' names and every prefix")
    func peft() throws {
        let prefixes = [
            "transformer.", "", "diffusion_model.", "base_model.model.", "model.diffusion_model.",
            "transformer.", "base_model.model.transformer.",
        ]
        let ends = [
            ("lora_A.weight", "lora_B.weight"), ("lora_A.default.weight", "lora_B.default.weight"),
            ("lora.down.weight", "lora.up.weight"), ("lora_A", "lora_B"),
            ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
        ]
        try check("PEFT") { writer in
            for (index, module) in LoRAWriter.modules.enumerated() {
                let end = ends[index % ends.count]
                writer.addThin(
                    module, key: prefixes[index] + module.name, rank: 1 + index,
                    down: "." + end.0, up: "." + end.1)
            }
        }
    }

    @Test("kohya's names with alpha, of the text encoder too")
    func kohya() throws {
        try check(
            "kohya", unmatched: ["lora_unet_layers_77_attention_to_q.alpha"],
            unused: ["lora_te_layers_3_mlp_up_proj.lora_down.weight"]
        ) { writer in
            for (index, module) in (LoRAWriter.modules + LoRAWriter.textModules).enumerated() {
                let isText = index >= LoRAWriter.modules.count
                let prefix =
                    isText ? "lora_te_" : index % 2 == 0 ? "lora_unet_" : "lora_transformer_"
                writer.addThin(
                    module, key: prefix + writer.underscored(module), rank: 4,
                    down: ".lora_down.weight", up: ".lora_up.weight", alpha: 6)
            }
            writer.add("lora_unet_layers_77_attention_to_q.alpha", [], [1])
            // The last layer of the text encoder does not run.
            writer.add(
                "lora_te_layers_3_mlp_up_proj.lora_down.weight", [1, 192],
                .init(repeating: 1, count: 192))
        }
    }

    @Test("the text encoder has a scale of its own, merged and beside the weights")
    func textScale() throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ modules: [LoRAWriter.Module]) throws -> URL {
            var writer = LoRAWriter(seed: 4)
            for module in modules {
                writer.addThin(
                    module, key: module.name, rank: 4, down: ".lora_A.weight", up: ".lora_B.weight")
            }
            return try writer.write(name, in: folder)
        }
        let both = try write("both.safetensors", LoRAWriter.textModules + LoRAWriter.modules)
        let text = try write("text.safetensors", LoRAWriter.textModules)
        let plain = try pipeline()
        for (scale, textScale) in [(0.7, 0.2), (0, 0.5), (0.7, 0)] {
            let source = LoRASource(url: both, scale: scale, textScale: textScale)
            // The same by two files: all of it at one scale, the text encoder's part at the rest.
            let expected = try latents(
                plain,
                [
                    LoRASource(url: both, scale: scale),
                    LoRASource(url: text, scale: textScale - scale),
                ])
            let beside = try latents(plain, [source])
            #expect(distance(beside, expected) < 2e-4)
            #expect(distance(try latents(try pipeline([source])), expected) < 2e-4)
            let same = try latents(plain, [LoRASource(url: both, scale: scale)])
            #expect(distance(beside, same) > 1e-3)
        }
    }

    @Test("PEFT's configuration beside the file scales it, for the file and for its folder")
    func configuration() throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        var writer = LoRAWriter(seed: 6)
        for module in LoRAWriter.modules {
            writer.addThin(
                module, key: "base_model.model." + module.name, rank: 4, down: ".lora_A.weight",
                up: ".lora_B.weight")
        }
        let file = try writer.write("adapter_model.safetensors", in: folder)
        let plain = try pipeline()
        let targets = try LoRATargets(model: try ModelDirectory(url: Self.model))
        let expected = try latents(plain, [LoRASource(url: file, scale: 4)])
        let report = try LoRAFile(url: file).contents(for: targets).report
        #expect(report.factors == [1])
        #expect(report.warning?.contains("adapter_config.json") == true)
        let before = try LoRAFile(url: file).identity

        let configuration = folder.appending(path: "adapter_config.json")
        try Data(#"{"lora_alpha": 16, "r": 4, "peft_type": "LORA"}"#.utf8).write(to: configuration)
        for url in [file, folder] {
            let lora = try LoRAFile(url: url)
            let scaled = try lora.contents(for: targets).report
            #expect(scaled.factors == [4])
            #expect(scaled.alphaOrigins == ["adapter_config.json"])
            #expect(scaled.warning == nil)
            #expect(lora.identity != before)
            // The pipeline has the file in its cache, from before the configuration.
            #expect(distance(try latents(plain, [LoRASource(url: url)]), expected) < 2e-6)
        }
        try Data("[]".utf8).write(to: configuration)
        #expect(throws: CheckpointError.self) { _ = try LoRAFile(url: file) }
        try FileManager.default.removeItem(at: file)
        #expect(throws: CheckpointError.self) { _ = try LoRAFile(url: folder) }
    }

    @Test("a configuration counts for a file of another name only if it is the folder's only one")
    func configurationOfSeveral() throws {
        let folder = try Self.temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(#"{"lora_alpha": 16}"#.utf8)
            .write(to: folder.appending(path: "adapter_config.json"))
        var writer = LoRAWriter(seed: 6)
        let module = LoRAWriter.modules[0]
        writer.addThin(
            module, key: module.name, rank: 4, down: ".lora_A.weight", up: ".lora_B.weight")
        let file = try writer.write("one.safetensors", in: folder)
        let targets = try LoRATargets(model: try ModelDirectory(url: Self.model))
        #expect(try LoRAFile(url: file).contents(for: targets).report.factors == [4])
        _ = try writer.write("two.safetensors", in: folder)
        #expect(try LoRAFile(url: file).contents(for: targets).report.factors == [1])
        #expect(throws: CheckpointError.self) { _ = try LoRAFile(url: folder) }
    }

    @Test("one matrix for queries, keys and values, shared or block diagonal")
    func fused() throws {
        let rank = 3
        try check("fused") { writer in
            for (block, isDiagonal) in [("layers.0", false), ("layers.3", true)] {
                let ranks = isDiagonal ? 3 * rank : rank
                let down = writer.draw(ranks, 288, size: 0.1)
                var up = writer.draw(3 * 288, ranks, size: 0.1)
                if isDiagonal {
                    for index in up.indices where index % ranks / rank != index / ranks / 288 {
                        up[index] = 0
                    }
                }
                let base =
                    isDiagonal
                    ? "lora_unet_layers_3_attention_qkv" : "diffusion_model.layers.0.attention.qkv"
                let ends =
                    isDiagonal
                    ? (".lora_down.weight", ".lora_up.weight")
                    : (".lora_A.weight", ".lora_B.weight")
                writer.add(base + ends.0, [ranks, 288], down)
                writer.add(base + ends.1, [3 * 288, ranks], up)
                if isDiagonal { writer.add(base + ".alpha", [], [Float(2 * ranks)]) }
                let factor: Float = isDiagonal ? 2 : 1
                let whole = LoRAWriter.multiply(up, down, ranks, factor)
                for (part, name) in ["to_q", "to_k", "to_v"].enumerated() {
                    writer.change(
                        .init(name: "\(block).attention.\(name)", rows: 288, depth: 288),
                        Array(whole[(part * 288 * 288)..<((part + 1) * 288 * 288)]))
                }
            }
            writer.addThin(
                LoRAWriter.modules[6], key: "diffusion_model.final_layer.linear", rank: 2,
                down: ".lora_A.weight", up: ".lora_B.weight")
        }
    }

    @Test("a file that says a layer twice counts once")
    func twice() throws {
        let module = LoRAWriter.modules[3]
        try check(
            "twice",
            unused: [
                "layers.2.attention.out.lora.down.weight", "layers.2.attention.out.lora.up.weight",
            ]
        ) { writer in
            writer.addThin(
                module, key: "layers.2.attention.out", rank: 2, down: ".lora.down.weight",
                up: ".lora.up.weight")
            writer.addThin(
                module, key: "layers.2.attention.to_out.0", rank: 2, down: ".lora.down.weight",
                up: ".lora.up.weight")
        }
    }

    @Test("LoHa, thin and as a whole")
    func hadamard() throws {
        try check("LoHa") { writer in
            for (index, module) in LoRAWriter.modules.enumerated() {
                // Ranks of pairs above those that pay.
                writer.addHadamard(module, rank: index == 3 ? 14 : 2 + index % 2, alpha: 1.5)
            }
        }
    }

    @Test("LoKr of whole and of thin factors; alpha counts only beside a thin one")
    func kronecker() throws {
        let names = LoRAWriter.modules.map(\.name).filter { !$0.contains("final") }
        let whole = [0, 4]
        try check(
            "LoKr",
            unused: whole.map { "lycoris_\(names[$0].replacing(".", with: "_")).alpha" }.sorted()
        ) { writer in
            for (index, module) in LoRAWriter.modules.prefix(6).enumerated() {
                let ranks = [(0, 0), (0, 3), (2, 0), (2, 3)][index % 4]
                writer.addKronecker(module, ranks: ranks, alpha: ranks == (0, 0) ? 1e10 : 2)
            }
        }
    }

    @Test("DoRA by rows and by columns", arguments: [true, false])
    func magnitude(byRows: Bool) throws {
        try check("DoRA") { writer in
            for (index, module) in LoRAWriter.modules.enumerated() {
                writer.addMagnitude(
                    module, rank: 3, byRows: byRows, weights: try weights(module),
                    key: byRows && index == 0 ? ".lora_magnitude_vector.weight" : ".dora_scale")
            }
        }
    }
}
