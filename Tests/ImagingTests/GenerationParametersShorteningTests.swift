// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Testing

@Suite struct GenerationParametersShorteningTests {
    private static func parameters(_ prompt: String, _ negative: String = "")
        -> GenerationParameters
    {
        GenerationParameters(
            prompt: prompt, negativePrompt: negative, steps: 8, seed: 7, width: 64, height: 32)
    }

    @Test("a text that fits is unchanged")
    func fits() throws {
        let parameters = Self.parameters("a cat", "dog")
        #expect(parameters.text(upTo: parameters.text.utf16.count) == parameters.text)
    }

    @Test(
        "a longer one fits as well as it can, and says what was shortened",
        arguments: [
            (String(repeating: "cat ", count: 500), "dog", "prompt"),
            ("a cat", String(repeating: "狗", count: 2_000), "negative prompt"),
            (
                String(repeating: "🐈", count: 900), String(repeating: "dog, ", count: 900),
                "prompt and negative prompt"
            ),
            // Such prompts are stored twice.
            (" " + String(repeating: "cat\nNegative prompt: ", count: 200), "", "prompt"),
        ])
    func shortened(prompt: String, negative: String, names: String) throws {
        let units = 800
        let text = try #require(Self.parameters(prompt, negative).text(upTo: units))
        #expect(text.utf16.count <= units)
        #expect(text.utf16.count > units / 3)
        let read = try #require(GenerationParameters(parsing: text))
        #expect(read.extras.contains(.init("Shortened", names)))
        #expect(read.seed == 7 && read.steps == 8 && read.width == 64)
        if names == "negative prompt" { #expect(read.prompt == prompt) }
        if names == "prompt", !negative.isEmpty { #expect(read.negativePrompt == negative) }
    }

    @Test("pairs that do not fit leave nothing")
    func nothing() {
        #expect(Self.parameters("a cat").text(upTo: 10) == nil)
        let bare = Self.parameters(String(repeating: "cat", count: 100)).text(upTo: 120)
        #expect(bare?.contains("Shortened: prompt") == true)
    }
}
