// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Testing

/// Texts as other programs write them.
@Suite struct ForeignInfotextTests {
    @Test(
        "line feeds inside quoted values belong to them",
        arguments: [
            // An extension's prompt, quoted without escapes; the last line has pairs of its own.
            (
                "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 7, Hires prompt: \"one,\ntwo\","
                    + " Size: 64x32, Version: v1, Model: m",
                "Hires prompt", "one,\ntwo"
            ),
            (
                "a cat\nNegative prompt: dog\nSteps: 20, Seed: 7, Size: 64x32, Detailer prompt: \"a: b\n\n\\\"c\\\"\"",
                "Detailer prompt", "a: b\n\n\"c\""
            ),
            (
                "a cat\nNegative prompt: dog\nSteps: 20, Seed: 7, Size: 64x32, Wildcard prompt: \"__x__\nSeed: 9, CFG scale: 3,"
                    + " Size: 1x1\"",
                "Wildcard prompt", "__x__\nSeed: 9, CFG scale: 3, Size: 1x1"
            ),
        ])
    func lineFeeds(text: String, key: String, value: String) throws {
        let parameters = try #require(GenerationParameters(parsing: text))
        #expect(parameters.prompt == "a cat" && parameters.negativePrompt == "dog")
        #expect(parameters.steps == 20 && parameters.seed == 7 && parameters.width == 64)
        #expect(parameters.extras.first { $0.key == key }?.value == value)
        #expect(GenerationParameters(parsing: parameters.text) == parameters)
    }

    @Test("lines behind the parameters are theirs, not the prompt's")
    func furtherLines() throws {
        let text = """
            a red cat
            Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 7, Size: 64x32
            Template: a {red|blue} cat,
            large
            Negative Template: dog
            """
        let parameters = try #require(GenerationParameters(parsing: text))
        #expect(parameters.prompt == "a red cat" && parameters.cfgScale == 7)
        #expect(
            parameters.extras == [
                .init("Template", "a {red|blue} cat,\nlarge"), .init("Negative Template", "dog"),
            ])
    }

    @Test("a line of the prompt that looks like parameters stays there")
    func promptLines() throws {
        let text = "Steps: up the hill, Size: \"large\na cat\nSteps: 8, Seed: 7, Size: 64x32"
        let parameters = try #require(GenerationParameters(parsing: text))
        #expect(parameters.prompt == "Steps: up the hill, Size: \"large\na cat")
        #expect(parameters.steps == 8 && parameters.extras.isEmpty)
        // Programs that write other keys first.
        let other = try #require(
            GenerationParameters(parsing: "Steps: a, b\nSampler: Euler, Seed: 7, Steps: 8"))
        #expect(other.prompt == "Steps: a, b" && other.steps == 8)
    }

    @Test(
        "of equal keys the first counts, and the others are kept",
        arguments: [
            ("Steps: 8, Seed: 7, Size: 64x32, Seed: 9", "Seed", "9"),
            ("Steps: 8, Seed: 7, Size: 64x32, Steps: 30, Denoise: 1", "Steps", "30"),
            ("Steps: 8, Seed: 7, Size: 64x32, Unit: a, Size: 512x512", "Size", "512x512"),
        ])
    func equalKeys(text: String, key: String, value: String) throws {
        let parameters = try #require(GenerationParameters(parsing: text))
        #expect(parameters.steps == 8 && parameters.seed == 7 && parameters.width == 64)
        #expect(parameters.extras.contains(.init(key, value)))
        #expect(GenerationParameters(parsing: parameters.text) == parameters)
    }

    @Test("objects that are not quoted are one value")
    func objects() throws {
        let text = """
            a cat
            Steps: 8, Seed: 7, Size: 64x32, Resources: [{"type": "lora", "weight": 0.8, "name": "a, ]b"}], \
            Hashes: {"vae": "735e", "lora:ink": "1a2b", "model": "0a1b2c"}, Model: m, Broken: {a, Version: 1
            """
        let parameters = try #require(GenerationParameters(parsing: text))
        #expect(
            parameters.extras.map(\.value) == [
                #"[{"type": "lora", "weight": 0.8, "name": "a, ]b"}]"#,
                #"{"vae": "735e", "lora:ink": "1a2b", "model": "0a1b2c"}"#, "{a",
            ])
        #expect(parameters.modelHash == "0a1b2c" && parameters.model == "m")
        #expect(parameters.loras == [.init(name: "ink", hash: "1a2b")])
        #expect(parameters.version == "1")
        #expect(GenerationParameters(parsing: parameters.text) == parameters)
    }

    // MARK: LoRA

    @Test("hashes with weights, without and beside them")
    func hashes() throws {
        func loras(_ pairs: String) throws -> [GenerationParameters.LoRA] {
            try #require(
                GenerationParameters(parsing: "a cat\nSteps: 8, Seed: 7, Size: 64x32, \(pairs)")
            ).loras
        }
        #expect(
            try loras(#"Lora hashes: "ink: 1a2b: 0.5, oil: 3c4d""#)
                == [.init(name: "ink", scale: 0.5, hash: "1a2b"), .init(name: "oil", hash: "3c4d")])
        #expect(
            try loras(#"Lora hashes: "ink: 1a2b", Lora weights: "ink: 0.5""#)
                == [.init(name: "ink", scale: 0.5, hash: "1a2b")])
        #expect(try loras("Lora hashes: ink: 1a2b") == [.init(name: "ink", hash: "1a2b")])
    }

    @Test("the prompt of a file has tags by which other programs apply its adapters")
    func tags() throws {
        var parameters = GenerationParameters(
            prompt: "a cat", negativePrompt: "dog", steps: 8, seed: 7, width: 64, height: 32,
            loras: [
                .init(name: "ink", scale: 0.8), .init(name: "oil", scale: 1, textScale: 0.25),
                .init(name: "no:tag"),
            ])
        #expect(
            parameters.text.hasPrefix(
                "a cat <lora:ink:0.8> <lora:oil:0.25:1>\nNegative prompt: dog\nSteps: 8"))
        #expect(GenerationParameters(parsing: parameters.text) == parameters)
        for prompt in ["", "a <lora:ink:0.8>", "x <lora:ink:0.8> <lora:oil:0.25:1>", "a\n", " a "] {
            parameters.prompt = prompt
            #expect(GenerationParameters(parsing: parameters.text) == parameters)
        }
        // Tags of other programs stay in their prompt.
        let other = "a cat <lora:ink:1>\nSteps: 8, Seed: 7, Size: 64x32, Lora hashes: \"ink: 1a2b\""
        #expect(GenerationParameters(parsing: other)?.prompt == "a cat <lora:ink:1>")
    }
}
