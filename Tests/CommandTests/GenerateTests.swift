// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Testing

/// What `generate` prints and writes.
@Suite struct GenerateTests {
    // MARK: - Standard output and the JSON object

    @Test("a run without options says the file and the seed, and nothing else")
    func plain() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(["generate", "a cat"] + Program.small, in: folder)
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        let file = folder.path("inkstone.png")
        #expect(result.output.hasPrefix("\(file)  seed 5  "))
        #expect(result.output.hasSuffix(" s\n"))
        #expect(try folder.contents() == ["inkstone.png"])
        let image = try ImageFile.read(from: file).image
        #expect(image.width == 64 && image.height == 64)
    }

    @Test("quiet prints nothing, but writes the picture")
    func quiet() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(
            ["generate", "a cat", "--negative-prompt", "dogs", "--quiet"] + Program.small,
            in: folder)
        #expect(result.status == 0)
        #expect(result.output.isEmpty && result.errors.isEmpty)
        #expect(try folder.contents() == ["inkstone.png"])
    }

    @Test("files without parameters; the report has them", arguments: ["png", "jpg", "webp"])
    func withoutParameters(ending: String) async throws {
        for leavesOut in [false, true] {
            let folder = try TemporaryFolder()
            let name = "cat.\(ending)"
            let report =
                leavesOut
                ? try await Program.generate("--output", name, "--no-embed-parameters", in: folder)
                : try await Program.generate("--output", name, in: folder)
            #expect(report.prompt == "a cat" && report.seed == 5)
            let file = try ImageFile.read(from: folder.path(name))
            #expect((file.metadata.parameters == nil) == leavesOut)
        }
    }

    @Test("the JSON object has exactly the documented fields")
    func fields() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(
            ["generate", "a cat", "--json"] + Program.small, in: folder)
        #expect(result.errors.isEmpty)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
        #expect(
            object.keys.sorted() == [
                "cfg_normalization", "cfg_truncation", "count", "guidance_scale", "height",
                "images", "kernels", "loras", "model", "negative_prompt", "outputs", "precision",
                "precision_reason",
                "prompt", "prompt_truncated", "seconds", "seed", "sha256", "steps", "threads",
                "version", "warnings", "width",
            ])
        let report = try Report(result)
        #expect(report.model == "emoji-nano")
        #expect(report.prompt == "a cat")
        #expect(report.width == 64 && report.height == 64)
        #expect(report.steps == 2 && report.count == 1)
        #expect(report.seed == 5)
        #expect(["f32", "bf16", "int8"].contains(report.precision))
        #expect(report.loras.isEmpty && report.warnings.isEmpty && !report.promptTruncated)
        #expect(report.outputs == [folder.path("inkstone.png")])
        #expect(report.sha256.wholeMatch(of: /[0-9a-f]{64}/) != nil)
        #expect(report.images.map(\.sha256) == [report.sha256])
        #expect(report.seconds.steps.count == 2)
        let parts = [report.seconds.text, report.seconds.decode] + report.seconds.steps
        #expect(parts.allSatisfy { $0 > 0 } && report.seconds.load > 0)
        #expect(parts.reduce(0, +) <= report.seconds.total)
    }

    @Test("a seed of -1, like none, is chosen and told; it gives the same picture again")
    func chosenSeed() async throws {
        let folder = try TemporaryFolder()
        let first = try await Program.generate("--seed", "-1", in: folder)
        let second = try await Program.generate("--seed", "-1", in: folder)
        #expect(first.seed != second.seed)
        let again = try await Program.generate("--seed", "\(first.seed)", in: folder)
        #expect(again.sha256 == first.sha256)
    }

    @Test("options that do nothing, and a cut prompt, are said on standard error and in the JSON")
    func warnings() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(
            [
                "generate", String(repeating: "word ", count: 1000), "--negative-prompt", "dogs",
                "--json",
            ] + Program.small, in: folder)
        let expected = [
            "--negative-prompt has no effect without guidance; add --guidance-scale with a number"
                + " above 0.",
            "The prompt exceeds the model's token limit and was truncated.",
        ]
        #expect(result.status == 0)
        #expect(result.errors == expected.map { "inkstone: \($0)\n" }.joined())
        let report = try Report(result)
        #expect(report.warnings == expected)
        #expect(report.promptTruncated)
    }

    @Test("an empty prompt is a prompt")
    func emptyPrompt() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(["generate", ""] + Program.small, in: folder)
        #expect(result.status == 0)
    }

    // MARK: - The same picture again

    @Test("the same request gives the same bytes, whatever the number of threads")
    func determinism() async throws {
        let folder = try TemporaryFolder()
        let first = try await Program.generate("--output", "1.png", in: folder)
        let second = try await Program.generate("--output", "2.png", in: folder)
        let third = try await Program.generate("--output", "3.png", "--threads", "2", in: folder)
        #expect(third.threads == 2)
        #expect(second.sha256 == first.sha256)
        #expect(third.sha256 == first.sha256)
        let files = try (1...3).map {
            try Data(contentsOf: URL(filePath: folder.path("\($0).png")))
        }
        #expect(files[0] == files[1] && files[0] == files[2])
        let other = try await Program.generate("--seed", "6", in: folder)
        #expect(other.sha256 != first.sha256)
    }

    @Test("picture i of several is the one that seed + i makes alone")
    func count() async throws {
        let folder = try TemporaryFolder()
        let three = try await Program.generate("--count", "3", "--output", "cat.webp", in: folder)
        let names = ["cat-1.webp", "cat-2.webp", "cat-3.webp"]
        #expect(try folder.contents() == names)
        #expect(three.outputs == names.map(folder.path))
        #expect(three.images.map(\.output) == three.outputs)
        #expect(three.images.map(\.seed) == [5, 6, 7])
        #expect(three.sha256 == three.images[0].sha256)
        #expect(three.seconds.steps.count == 2)
        for image in three.images {
            let alone = try await Program.generate("--seed", "\(image.seed)", in: folder)
            #expect(alone.sha256 == image.sha256)
        }
    }

    @Test("the noise of a trace, read back, gives the same picture")
    func latents() async throws {
        let folder = try TemporaryFolder()
        let first = try await Program.generate("--trace", "trace.safetensors", in: folder)
        let trace = try SafetensorsFile(url: folder.url.appending(path: "trace.safetensors"))
        #expect(
            Set(trace.tensors.keys).isSuperset(of: [
                "pos.input_ids", "pos.text_features", "sigmas", "latents.init",
                "transformer_out.0", "transformer_out.1", "latents", "decoded", "rgb8",
            ]))
        let again = try await Program.generate(
            "--latents", "trace.safetensors", "--seed", "99", in: folder)
        #expect(again.sha256 == first.sha256)
    }

    // MARK: - Files

    @Test(
        "a picture can start from any of the formats",
        arguments: [ImageFormat.png, .jpeg, .webp])
    func source(format: ImageFormat) async throws {
        let folder = try TemporaryFolder()
        // Formats are detected by content, not by name.
        try TestPicture.write(to: folder.path("source"), as: format)
        let weak = try await Program.generate("--image", "source", "--strength", "0.5", in: folder)
        let full = try await Program.generate("--image", "source", "--strength", "1", in: folder)
        #expect(weak.strength == 0.5)
        #expect(weak.seconds.steps.count == 1)
        #expect(full.seconds.steps.count == 2)
        #expect(weak.sha256 != full.sha256)
    }

    @Test(
        "every format carries the parameters, as other programs write them",
        arguments: ["png", "jpg", "webp"])
    func metadata(suffix: String) async throws {
        let folder = try TemporaryFolder()
        let file = folder.path("cat.\(suffix)")
        _ = try await Program.generate("--output", file, "--guidance-scale", "3", in: folder)
        let parameters = try #require(try ImageFile.read(from: file).metadata.parameters)
        #expect(parameters.hasPrefix("a cat\n"))
        for field in ["Steps: 2", "CFG scale: 4", "Seed: 5", "Size: 64x64", "Model: emoji-nano"] {
            #expect(parameters.contains(field), "\(parameters)")
        }
    }

    @Test("a picture with the longest prompt fits every format", arguments: ["png", "jpg", "webp"])
    func longPrompt(suffix: String) async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(
            [
                "generate", String(repeating: "猫", count: 32_000), "--quiet", "--output",
                "cat.\(suffix)",
            ] + Program.small, in: folder)
        #expect(result.status == 0, "\(result.errors)")
        #expect(try folder.contents() == ["cat.\(suffix)"])
    }
}
