// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Testing

/// LoRA files on the embedded model: all spellings of keys, alpha, strengths, and what is refused.
@Suite struct LoRATests {
    private static let rank = 4
    private static let width = 288
    private static let modules = [
        "layers.0.attention.to_q", "layers.1.attention.to_out.0", "noise_refiner.0.attention.to_k",
    ]

    /// A way to name the halves of a pair.
    struct Spelling: CustomTestStringConvertible, Sendable {
        var prefix = ""
        var down = ".lora_A.weight"
        var up = ".lora_B.weight"
        var hasUnderscores = false

        func key(_ module: String) -> String {
            prefix + (hasUnderscores ? module.replacing(".", with: "_") : module)
        }

        var testDescription: String { key("layers.0.attention.to_q") + down }
    }

    private static let spellings = [
        Spelling(prefix: "transformer."),
        Spelling(prefix: "diffusion_model."),
        Spelling(prefix: "base_model.model."),
        Spelling(prefix: "base_model.model.transformer."),
        Spelling(down: ".lora_A.default.weight", up: ".lora_B.default.weight"),
        Spelling(
            prefix: "lora_unet_", down: ".lora_down.weight", up: ".lora_up.weight",
            hasUnderscores: true),
        Spelling(
            prefix: "lora_transformer_", down: ".lora_down.weight", up: ".lora_up.weight",
            hasUnderscores: true),
        Spelling(prefix: "diffusion_model.", down: ".lora.down.weight", up: ".lora.up.weight"),
    ]

    /// Writes a LoRA whose numbers follow from the modules alone.
    @discardableResult
    private static func write(
        _ name: String, in folder: TemporaryFolder, spelling: Spelling = Spelling(),
        up factor: Float = 1, alpha: Float? = nil, metadata: [String: String] = [:],
        more: [NewTensor] = []
    ) throws -> String {
        var tensors = more
        for (index, module) in modules.enumerated() {
            func numbers(_ phase: Int) -> [Float] {
                (0..<rank * width).map { Float(($0 * 37 + phase * 11) % 41 - 20) / 256 }
            }
            let key = spelling.key(module)
            tensors.append(
                NewTensor(key + spelling.down, shape: [rank, width], .f32(numbers(index))))
            tensors.append(
                NewTensor(
                    key + spelling.up, shape: [width, rank],
                    .f32(numbers(index + 7).map { $0 * factor })))
            if let alpha {
                tensors.append(NewTensor(key + ".alpha", shape: [], .f32([alpha])))
            }
        }
        try SafetensorsFile.write(
            tensors, metadata: metadata, to: folder.url.appending(path: name))
        return name
    }

    private static func digest(
        _ loras: String..., in folder: TemporaryFolder, precision: String = "f32"
    ) async throws -> String {
        let result = try await Program.run(
            ["generate", "a cat", "--json", "--threads", "1", "--precision", precision]
                + Program.small + loras.flatMap { ["--lora", $0] }, in: folder)
        #expect(result.status == 0, "\(result.errors)")
        // A file with PEFT's own keys and no alpha anywhere lacks PEFT's configuration.
        #expect(
            result.errors.isEmpty || result.errors.contains("adapter_config.json"),
            "\(result.errors)")
        return try Report(result).sha256
    }

    @Test("a LoRA of zeros, or at strength 0, changes nothing", arguments: ["f32", "bf16"])
    func zero(precision: String) async throws {
        let folder = try TemporaryFolder()
        try Self.write("zero.safetensors", in: folder, up: 0)
        try Self.write("some.safetensors", in: folder)
        let none = try await Self.digest(in: folder, precision: precision)
        #expect(try await Self.digest("zero.safetensors", in: folder, precision: precision) == none)
        #expect(
            try await Self.digest("some.safetensors:0", in: folder, precision: precision) == none)
        #expect(try await Self.digest("some.safetensors", in: folder, precision: precision) != none)
    }

    @Test("every spelling of the keys gives the same picture", arguments: spellings)
    func spelling(_ spelling: Spelling) async throws {
        let folder = try TemporaryFolder()
        try Self.write("plain.safetensors", in: folder)
        try Self.write("spelled.safetensors", in: folder, spelling: spelling)
        let plain = try await Self.digest("plain.safetensors", in: folder)
        #expect(try await Self.digest("spelled.safetensors", in: folder) == plain)
    }

    @Test("alpha over rank scales, from a tensor as from the metadata")
    func alpha() async throws {
        let folder = try TemporaryFolder()
        let kohya = Spelling(
            prefix: "lora_unet_", down: ".lora_down.weight", up: ".lora_up.weight",
            hasUnderscores: true)
        try Self.write("plain.safetensors", in: folder)
        try Self.write("same.safetensors", in: folder, spelling: kohya, alpha: 4)
        try Self.write("double.safetensors", in: folder, spelling: kohya, alpha: 8)
        try Self.write(
            "metadata.safetensors", in: folder, spelling: Spelling(prefix: "transformer."),
            metadata: [
                "lora_adapter_metadata": #"{"transformer.r": 4, "transformer.lora_alpha": 8}"#
            ])
        let plain = try await Self.digest("plain.safetensors", in: folder)
        #expect(try await Self.digest("same.safetensors", in: folder) == plain)
        let double = try await Self.digest("plain.safetensors:2", in: folder)
        #expect(double != plain)
        #expect(try await Self.digest("double.safetensors", in: folder) == double)
        #expect(try await Self.digest("metadata.safetensors", in: folder) == double)
    }

    @Test("two LoRAs add up; one that is taken away again leaves the picture as it was")
    func several() async throws {
        let folder = try TemporaryFolder()
        try Self.write("a.safetensors", in: folder)
        let result = try await Program.generate(
            "--lora", "a.safetensors", "--lora", "a.safetensors:-1", "--precision", "bf16",
            in: folder)
        #expect(result.loras.map(\.name) == ["a.safetensors", "a.safetensors"])
        #expect(result.loras.map(\.scale) == [1, -1])
        #expect(result.loras.map(\.matched) == [3, 3])
        #expect(result.loras.map(\.unmatched) == [[], []])
        // The sum is taken in f32: rounded to bf16, the weights are those of the file again.
        let none = try await Self.digest(in: folder, precision: "bf16")
        #expect(result.sha256 == none)
        let twice = try await Self.digest("a.safetensors", "a.safetensors", in: folder)
        #expect(try await Self.digest("a.safetensors:2", in: folder) != none)
        #expect(twice != none)
    }

    @Test("keys of no layer are said on standard error and in the JSON object")
    func unmatched() async throws {
        let folder = try TemporaryFolder()
        let key = "transformer.layers.99.attention.to_q.lora_A.weight"
        try Self.write(
            "some.safetensors", in: folder,
            more: [
                NewTensor(
                    key, shape: [Self.rank, Self.width],
                    .f32([Float](repeating: 0, count: Self.rank * Self.width)))
            ])
        let result = try await Program.run(
            ["generate", "a cat", "--json", "--lora", "some.safetensors"] + Program.small,
            in: folder)
        let warning =
            "LoRA 'some.safetensors' changed 3 layers, but 1 key belongs to no layer of this model,"
            + " such as '\(key)'."
        #expect(result.status == 0)
        #expect(result.errors == "inkstone: \(warning)\n")
        let report = try Report(result)
        #expect(report.warnings == [warning])
        #expect(report.loras.map(\.matched) == [3])
        #expect(report.loras.map(\.unmatched) == [[key]])
    }

    @Test("a LoRA for a larger model is refused with both shapes")
    func shape() async throws {
        let folder = try TemporaryFolder()
        try SafetensorsFile.write(
            [
                NewTensor(
                    "layers.0.attention.to_q.lora_A.weight", shape: [1, 3840],
                    .f32([Float](repeating: 0, count: 3840))),
                NewTensor(
                    "layers.0.attention.to_q.lora_B.weight", shape: [3840, 1],
                    .f32([Float](repeating: 0, count: 3840))),
            ], to: folder.url.appending(path: "large.safetensors"))
        let result = try await Program.run(
            ["generate", "a cat", "--lora", "large.safetensors"], in: folder)
        #expect(result.status == 65)
        #expect(
            result.errors
                == "inkstone: LoRA file large.safetensors has [3840, 1] x [1, 3840] for"
                + " 'layers.0.attention.to_q.weight', expected [288, r] x [r, 288]. Use a LoRA that"
                + " was trained for a model of this size.\n")
        #expect(try folder.contents() == ["large.safetensors"])
    }

    @Test("beside the weights the picture is nearly that of merged ones, and at 0 none")
    func unmerged() async throws {
        let folder = try TemporaryFolder()
        try Self.write("some.safetensors", in: folder)
        func pixels(_ arguments: String...) async throws -> [UInt8] {
            let result = try await Program.run(
                ["generate", "a cat", "--precision", "f32", "--quiet"] + Program.small + arguments,
                in: folder)
            #expect(result.status == 0, "\(result.errors)")
            return try ImageFile.read(from: folder.url.appending(path: "inkstone.png").path)
                .image.pixels
        }
        let merged = try await pixels("--lora", "some.safetensors:1.5")
        let beside = try await pixels("--lora", "some.safetensors:1.5", "--unmerged-lora")
        let none = try await pixels()
        let zero = try await pixels("--lora", "some.safetensors:0", "--unmerged-lora")
        #expect(zip(merged, beside).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
        #expect(zero == none)
        #expect(merged != none)
    }

    @Test("inspect reports formats, ranks and keys")
    func inspect() async throws {
        let folder = try TemporaryFolder()
        try Self.write(
            "some.safetensors", in: folder, alpha: 4, metadata: ["modelspec.title": "Some"],
            more: [NewTensor("unet.mid.alpha", shape: [], .f32([1]))])
        let result = try await Program.run(["lora", "inspect", "some.safetensors"], in: folder)
        #expect(result.status == 0, "\(result.errors)")
        #expect(
            result.output == """
                some.safetensors: 0.0 MB, changes 3 weights of emoji-nano
                  3 by LoRA of rank 4 in F32, times 1.0, alpha by the tensors
                1 key belongs to no layer:
                  unet.mid.alpha
                modelspec.title: Some

                """)
        let json = try await Program.run(
            ["lora", "inspect", "some.safetensors", "--json"], in: folder)
        #expect(json.output.contains(#""matched_keys" : 9"#))
    }

    @Test("a merged folder draws what merging at the start draws, and is refused a second time")
    func merge() async throws {
        let folder = try TemporaryFolder()
        try Self.write("some.safetensors", in: folder)
        let arguments = [
            "lora", "merge", "--lora", "some.safetensors:0.5", "--lora", "some.safetensors:-1.5",
            "--output", "merged",
        ]
        let result = try await Program.run(arguments, in: folder)
        #expect(result.status == 0, "\(result.errors)")
        let options = ["generate", "a cat", "--json", "--precision", "bf16"] + Program.small
        let own = try Report(
            try await Program.run(options + ["--model", "./merged"], in: folder))
        let there = try Report(
            try await Program.run(
                options + ["--lora", "some.safetensors:0.5", "--lora", "some.safetensors:-1.5"],
                in: folder))
        #expect(own.sha256 == there.sha256)
        let again = try await Program.run(arguments, in: folder)
        #expect(again.status != 0)
        #expect(again.errors.contains("exists already"))
    }
}
