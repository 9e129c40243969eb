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
        #expect(tokenizer.idBound == PublishedVocabulary.size)
    }

    @Test("prompts and texts have the reference's ids")
    func examples() {
        #expect(PublishedVocabulary.mismatches(of: tokenizer) == [])
    }

    @Test("a prompt that is too long loses the end of the template")
    func truncation() {
        let encoded = tokenizer.encodePrompt(String(repeating: "word ", count: 600))
        #expect(encoded.ids.count == 512 && encoded.ids.last == 3409 && encoded.truncated)
    }
}
