// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// `models` and `doctor`: what there is.
@Suite struct ModelsTests {
    @Test("the list names each model with its size, steps and folder")
    func list() async throws {
        let result = try await Program.run(["models", "list"], in: try TemporaryFolder())
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        let model = Program.model.path
        #expect(
            result.output == """
                emoji-nano  128x128     8 steps  \(model)
                edges       ControlNet           \(model)/controlnets/edges

                """)
    }

    @Test("a damaged model is listed as one, in line with the others")
    func damaged() async throws {
        let folder = try TemporaryFolder()
        let models = folder.url.appending(path: "models")
        try FileManager.default.createDirectory(
            at: models.appending(path: "broken"), withIntermediateDirectories: true)
        try folder.write("{", to: "models/broken/model_index.json")
        try FileManager.default.createSymbolicLink(
            at: models.appending(path: "nano"), withDestinationURL: Program.model)
        let result = try await Program.run(
            ["models", "list"], in: folder, environment: ["INKSTONE_MODELS": models.path])
        #expect(result.status == 0)
        let lines = result.output.split(separator: "\n")
        #expect(
            lines.first?.hasPrefix("broken      unusable             '\(models.path)/broken")
                == true)
        #expect(lines.dropFirst().first == "emoji-nano  128x128     8 steps  \(models.path)/nano")
        #expect(
            lines.last == "edges       ControlNet           \(models.path)/nano/controlnets/edges")
    }

    @Test("a model is shown with its parameters, precision and memory")
    func show() async throws {
        let result = try await Program.run(
            ["models", "show", "emoji-nano", "--precision", "f32"], in: try TemporaryFolder(),
            environment: ["INKSTONE_KERNELS": "portable"])
        #expect(result.status == 0)
        let rows = result.output.split(separator: "\n").map { line in
            (line.prefix(12).trimmingCharacters(in: .whitespaces), String(line.dropFirst(12)))
        }
        #expect(
            rows.map(\.0) == [
                "name", "folder", "licence", "parameters", "precision", "memory", "cache",
                "defaults", "trained at", "limits", "ControlNet",
            ])
        let row = Dictionary(uniqueKeysWithValues: rows)
        #expect(row["name"] == "Emoji Nano (emoji-nano)")
        #expect(row["folder"] == Program.model.path)
        #expect(
            row["parameters"]?.wholeMatch(
                of: /[\d,]+: transformer [\d,]+, text encoder [\d,]+, autoencoder [\d,]+/) != nil)
        #expect(row["precision"] == "f32 with kernels portable")
        #expect(row["memory"]?.contains(/^[\d.]+ MB of weights, or [\d.]+ MB when/) == true)
        #expect(
            row["cache"]?.contains(/^.*\/\.cache\/inkstone, 0 files of packed weights, 0/) == true)
        #expect(row["defaults"] == "128x128, 8 steps, guidance 0.0")
        #expect(row["trained at"] == "128x128, 192x192")
        #expect(
            row["ControlNet"]?.hasPrefix("edges: version 1.0, 2,770,400 parameters, ") == true)
        #expect(
            row["limits"] == "up to 512x512 in multiples of 16, 200 steps, 10 images per request")
    }

    @Test("a model is packed beforehand and removed")
    func changes() async throws {
        let folder = try TemporaryFolder()
        let models = folder.url.appending(path: "models")
        try FileManager.default.createDirectory(at: models, withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: Program.model, to: models.appending(path: "copy"))
        let environment = ["INKSTONE_MODELS": models.path]
        for words in ["packed", "already packed"] {
            let result = try await Program.run(
                ["models", "quantize", "copy", "--precision", "int8", "--cache-dir", "cache"],
                in: folder, environment: environment)
            #expect(result.status == 0)
            #expect(result.output.contains("transformer: \(words)\n"), "\(result.output)")
            #expect(result.output.contains(" in int8: "), "\(result.output)")
        }
        let unasked = try await Program.run(
            ["models", "remove", "copy"], in: folder, environment: environment)
        #expect(unasked.status == 64 && unasked.errors.contains("--yes"))
        let removed = try await Program.run(
            ["models", "remove", "copy", "--yes"], in: folder, environment: environment)
        #expect(removed.status == 0 && removed.output == "copy was removed.\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: models.path).isEmpty)
    }

    @Test("doctor looks at processor, memory, GPUs, disk, ports, models and the data folder")
    func doctor() async throws {
        let result = try await Program.run(
            ["doctor", "--port", "0", "--page-port", "0"], in: try TemporaryFolder())
        #expect(result.status == (result.output.contains("\nLOOK  ") ? 1 : 0))
        #expect(result.errors.isEmpty)
        // A line for each Vulkan device, or one that says why there is none.
        let all = result.output.split(separator: "\n")
        let lines = all.filter { !$0.dropFirst(6).hasPrefix("GPU") }
        #expect(lines.count < all.count)
        #expect(lines.first?.hasPrefix("inkstone ") == true)
        for (line, subject) in zip(
            lines.dropFirst(),
            [
                "processor: ", "memory: ", "disk: ", "cache: ", "port 0 (API): free",
                "port 0 (page): free",
            ])
        {
            #expect(line.dropFirst(6).hasPrefix(subject), "\(line)")
            #expect(["ok  ", "note", "LOOK"].contains(line.prefix(4)), "\(line)")
        }
        #expect(result.output.contains("/data' does not exist yet; 'inkstone serve' makes it\n"))
        #expect(result.output.contains("ok    model emoji-nano: complete, "))
    }
}
