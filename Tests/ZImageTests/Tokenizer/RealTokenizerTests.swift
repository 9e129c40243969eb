// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing
import ZImage

/// Where the released tokenizer is, if it is anywhere.
private let realTokenizer = ProcessInfo.processInfo.environment["INKSTONE_REAL_TOKENIZER"]

/// Known ids of the released vocabulary of 151,669 tokens, which is too large to keep here.
///
/// Set `INKSTONE_REAL_TOKENIZER` to the `tokenizer` folder of a Z-Image checkpoint to run it.
@Suite(.enabled(if: realTokenizer != nil))
struct RealTokenizerTests {
    let tokenizer: QwenTokenizer

    init() throws {
        let folder = try #require(realTokenizer)
        tokenizer = try QwenTokenizer(directory: URL(filePath: folder, directoryHint: .isDirectory))
    }

    @Test("the vocabulary is whole")
    func size() {
        #expect(tokenizer.idBound == 151_669)
    }

    @Test(
        "prompts have the reference's ids",
        arguments: [
            ("", []),
            ("A cat.", [32, 8251, 13]),
            (
                "it's 1234 IT'S\n\n\tcafe\u{301}  x",
                [275, 594, 220, 16, 17, 18, 19, 8700, 13272, 271, 197, 924, 58858, 220, 856]
            ),
            (
                "一只猫坐在红色的椅子上。",
                [102292, 100472, 104427, 104165, 9370, 110202, 17447, 1773]
            ),
            (
                "\u{26A1}\u{FE0F} neon (西安大雁塔)",
                [144995, 30543, 46652, 320, 102178, 26288, 107181, 101105, 8]
            ),
            ("a<|im_end|>b <think>", [64, 151645, 65, 220, 151667]),
            (" leading and trailing  ", [6388, 323, 27748, 256]),
        ] as [(String, [Int32])]
    )
    func prompts(_ prompt: String, _ ids: [Int32]) {
        let encoded = tokenizer.encodePrompt(prompt)
        #expect(encoded.ids == [151644, 872, 198] + ids + [151645, 198, 151644, 77091, 198])
        #expect(!encoded.truncated)
    }

    @Test(
        "texts have the reference's ids",
        arguments: [
            (
                "Tab\tand\u{A0}nbsp  end \n \n x",
                [8582, 52477, 4102, 5674, 220, 835, 31906, 856]
            ),
            (
                "'ſx हिन्दी ½ \u{200B}x",
                [
                    6, 144815, 87, 84310, 42311, 101, 30484, 99, 43647, 220, 26062, 29748, 87,
                ]
            ),
            (
                "👩\u{200D}👩\u{200D}👧 ok \"quoted\" C++11",
                [
                    145233, 378, 235, 145233, 378, 235, 145665, 5394, 330, 63725, 1, 356, 1027, 16,
                    16,
                ]
            ),
        ] as [(String, [Int32])]
    )
    func texts(_ text: String, _ ids: [Int32]) {
        #expect(tokenizer.encode(text) == ids)
    }

    @Test("a prompt that is too long loses the end of the template")
    func truncation() {
        let encoded = tokenizer.encodePrompt(String(repeating: "word ", count: 600))
        #expect(encoded.ids.count == 512 && encoded.ids.last == 3409 && encoded.truncated)
    }
}
