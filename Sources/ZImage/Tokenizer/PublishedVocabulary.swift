// Part of Inkstone. Licence: see LICENSE.

/// Known ids of the vocabulary that Z-Image is published with, which is that of Qwen3.
///
/// - Source: `transformers` with the published files.
package enum PublishedVocabulary {
    /// A text and its ids.
    package struct Example: Sendable {
        package let text: String
        package let ids: [Int32]

        init(_ text: String, _ ids: [Int32]) {
            self.text = text
            self.ids = ids
        }
    }

    /// The result of one example.
    package struct Mismatch: Sendable, Equatable {
        package let text: String
        package let expected: [Int32]
        package let found: [Int32]
    }

    /// Number of ids: 151,643 of byte pairs, and 26 added tokens.
    package static let size = 151_669

    /// Ids before and after those of a prompt: the template of a chat with one message.
    package static let template: (before: [Int32], after: [Int32]) = (
        [151644, 872, 198], [151645, 198, 151644, 77091, 198]
    )

    /// Prompts, without the ids of the template.
    package static let prompts = [
        Example("", []),
        Example("A cat.", [32, 8251, 13]),
        Example(
            "it's 1234 IT'S\n\n\tcafe\u{301}  x",
            [275, 594, 220, 16, 17, 18, 19, 8700, 13272, 271, 197, 924, 58858, 220, 856]),
        Example(
            "一只猫坐在红色的椅子上。",
            [102292, 100472, 104427, 104165, 9370, 110202, 17447, 1773]),
        Example(
            "\u{26A1}\u{FE0F} neon (西安大雁塔)",
            [144995, 30543, 46652, 320, 102178, 26288, 107181, 101105, 8]),
        Example("a<|im_end|>b <think>", [64, 151645, 65, 220, 151667]),
        Example(" leading and trailing  ", [6388, 323, 27748, 256]),
    ]

    /// Texts, encoded without a template.
    package static let texts = [
        Example(
            "Tab\tand\u{A0}nbsp  end \n \n x", [8582, 52477, 4102, 5674, 220, 835, 31906, 856]),
        Example(
            "'ſx हिन्दी ½ \u{200B}x",
            [6, 144815, 87, 84310, 42311, 101, 30484, 99, 43647, 220, 26062, 29748, 87]),
        Example(
            "👩\u{200D}👩\u{200D}👧 ok \"quoted\" C++11",
            [145233, 378, 235, 145233, 378, 235, 145665, 5394, 330, 63725, 1, 356, 1027, 16, 16]),
    ]

    /// Returns the examples to which a tokenizer gives other ids.
    package static func mismatches(of tokenizer: QwenTokenizer) -> [Mismatch] {
        let found = prompts.map { example in
            Mismatch(
                text: example.text, expected: template.before + example.ids + template.after,
                found: tokenizer.encodePrompt(example.text).ids)
        }
        let others = texts.map {
            Mismatch(text: $0.text, expected: $0.ids, found: tokenizer.encode($0.text))
        }
        return (found + others).filter { $0.expected != $0.found }
    }
}
