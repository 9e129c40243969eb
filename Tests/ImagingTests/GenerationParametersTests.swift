// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Testing

@Suite struct GenerationParametersTests {
    static let full = GenerationParameters(
        prompt: "a red kite\nover a lake <lora:ink:0.8>",
        negativePrompt: "blur, text",
        steps: 8,
        scheduleType: "Simple",
        cfgScale: GenerationParameters.cfgScale(guidance: 3.5),
        seed: 7,
        width: 128,
        height: 96,
        modelHash: "0123abcdef",
        model: "Z-Image: Turbo",
        loras: [.init(name: "ink", scale: 0.8), .init(name: "old, \"b\": x", hash: "1a2b")],
        extras: [.init("Guidance", "3.5")],
        version: "Inkstone 1.0"
    )

    @Test("the text is the one that clients know")
    func writesText() {
        #expect(
            Self.full.text == """
                a red kite
                over a lake <lora:ink:0.8> <lora:ink:0.8>
                Negative prompt: blur, text
                Steps: 8, Sampler: Euler, Schedule type: Simple, CFG scale: 4.5, Seed: 7, \
                Size: 128x96, Model hash: 0123abcdef, Model: "Z-Image: Turbo", \
                Lora weights: "ink: 0.8, \\"old, \\\\\\"b\\\\\\": x\\": 1", \
                Lora hashes: "\\"old, \\\\\\"b\\\\\\": x\\": 1a2b", Guidance: 3.5, \
                Version: Inkstone 1.0
                """
        )
        #expect(GenerationParameters(parsing: Self.full.text) == Self.full)
    }

    @Test("without guidance and negative prompt the text is short")
    func writesShortText() {
        let parameters = GenerationParameters(
            prompt: "cat",
            steps: 8,
            cfgScale: GenerationParameters.cfgScale(guidance: 0),
            seed: .max,
            width: 128,
            height: 128
        )
        #expect(
            parameters.text
                == "cat\nSteps: 8, Sampler: Euler, CFG scale: 1, Seed: 18446744073709551615, "
                + "Size: 128x128"
        )
        #expect(parameters.guidance == 0)
        #expect(GenerationParameters(parsing: parameters.text) == parameters)
    }

    @Test("a text of another program is read")
    func readsOthers() throws {
        let text = """
            masterpiece, (cat:1.2)
            second line
            Negative prompt: lowres,
            bad hands
            Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: -1, \
            Size: 512x768, Model hash: abc, Model: v1-5, Lora hashes: "style: 1a2b3c, two: 4d5e", \
            TI hashes: "x: 1, y: 2", Clip skip: 2, stray, Version: v1.10.1\r

            """
        let parameters = try #require(GenerationParameters(parsing: text))
        #expect(parameters.prompt == "masterpiece, (cat:1.2)\nsecond line")
        #expect(parameters.negativePrompt == "lowres,\nbad hands")
        #expect(parameters.steps == 20)
        #expect(parameters.sampler == "DPM++ 2M")
        #expect(parameters.scheduleType == "Karras")
        #expect(parameters.cfgScale == 7)
        #expect(parameters.guidance == 6)
        #expect(parameters.seed == nil)
        #expect(parameters.width == 512 && parameters.height == 768)
        #expect(parameters.modelHash == "abc" && parameters.model == "v1-5")
        #expect(
            parameters.loras
                == [.init(name: "style", hash: "1a2b3c"), .init(name: "two", hash: "4d5e")]
        )
        #expect(
            parameters.extras
                == [
                    .init("Seed", "-1"), .init("TI hashes", "x: 1, y: 2"), .init("Clip skip", "2"),
                ]
        )
        #expect(parameters.version == "v1.10.1")
    }

    @Test(
        "a text without a line of three pairs has no parameters",
        arguments: ["", "a cat", "a cat\nSteps: 8, Seed: 7", "a: b, c", "\n\n"]
    )
    func refusesPrompts(text: String) {
        #expect(GenerationParameters(parsing: text) == nil)
    }

    @Test(
        "a broken quote does not swallow the line",
        arguments: [
            ("Steps: 8, Model: \"half, Seed: 7, Sampler: Euler", "\"half"),
            ("Steps: 8, Model: \"a\" b, Seed: 7, Sampler: Euler", "\"a\" b"),
            ("Steps: 8, Model: \"\\q\", Seed: 7, Sampler: Euler", "\"\\q\""),
        ]
    )
    func brokenQuotes(text: String, model: String) throws {
        let parameters = try #require(GenerationParameters(parsing: text))
        #expect(parameters.model == model)
        #expect(parameters.seed == 7 && parameters.sampler == "Euler")
    }

    @Test(
        "a hostile line is read in linear time",
        .timeLimit(.minutes(5)),
        arguments: [
            "ab:\"\\\",", "ab:\"\\q\",", "ab:\"x,", "ab:,", ":,", "\\\"", "ab:{", "ab:[]x,",
            "\nSteps: 1,", "Steps:\"\n",
        ]
    )
    func hostileLines(unit: String) {
        // Quadratic time would take many minutes here.
        _ = GenerationParameters(parsing: String(repeating: unit, count: 50_000))
    }

    @Test("every value comes back as it was", arguments: 0..<20)
    func roundTrip(seed: UInt64) throws {
        var generator = SplitMix64(state: seed)
        for _ in 0..<200 {
            let parameters = Self.random(using: &generator)
            let text = parameters.text
            let back = try #require(GenerationParameters(parsing: text), "\(text)")
            #expect(back == parameters, "\(text)")
            #expect(Array(back.prompt.utf8) == Array(parameters.prompt.utf8))
            #expect(Array(back.negativePrompt.utf8) == Array(parameters.negativePrompt.utf8))
            #expect(back.text == text)
        }
    }

    /// Pieces that the grammar could trip over.
    private static let pieces = [
        "a", "cat", " ", "  ", "\n", "\r\n", "\r", ",", ":", ", ", ": ", "\"", "\\", "\\\"", "墨水",
        "é", "e\u{301}", "\u{301}", "🖌", "Negative prompt:", "Negative prompt: ", "Steps: 8",
        "\nSteps: 1, Seed: 2, Size: 3x4", "\t", "\u{0}", "\u{1}", "\u{85}", "\u{2028}", "\u{A0}",
        "(x:1.2)", "<lora:a:1>", "{", "}", "/", "Exact prompt: x", "\u{FFFF}", "\u{10FFFD}", "x",
    ]

    private static func text(using generator: inout SplitMix64, atMost count: Int = 8) -> String {
        (0..<Int.random(in: 0...count, using: &generator)).map { _ in
            pieces.randomElement(using: &generator) ?? ""
        }.joined()
    }

    private static func random(using generator: inout SplitMix64) -> GenerationParameters {
        func maybe(_ value: String) -> String? {
            Bool.random(using: &generator) ? value : nil
        }
        var parameters = GenerationParameters(
            prompt: text(using: &generator),
            negativePrompt: text(using: &generator),
            steps: .random(in: 1...100, using: &generator),
            cfgScale: (Double.random(in: 1...20, using: &generator) * 100).rounded() / 100,
            seed: .random(in: .min ... .max, using: &generator),
            width: .random(in: 1...4096, using: &generator),
            height: .random(in: 1...4096, using: &generator)
        )
        parameters.sampler = maybe(text(using: &generator))
        parameters.scheduleType = maybe(text(using: &generator))
        parameters.modelHash = maybe("0a1b2c3d4e")
        parameters.model = maybe(text(using: &generator))
        for index in 0..<Int.random(in: 0...3, using: &generator) {
            parameters.loras.append(
                .init(
                    name: text(using: &generator) + "\(index)",
                    scale: .random(in: -2...2, using: &generator),
                    hash: maybe("beef")
                )
            )
        }
        for key in ["Guidance", "Denoising strength", "Init image-hash/x", "Größe"] {
            if let value = maybe(text(using: &generator)) {
                parameters.extras.append(.init(key, value))
            }
        }
        parameters.version = maybe(text(using: &generator))
        return parameters
    }
}
