// Part of Inkstone. Licence: see LICENSE.

import Testing
import ZImage

/// The known ids distinguish the published vocabulary from others; `RealTokenizerTests` covers the published one.
@Suite struct PublishedVocabularyTests {
    @Test("another vocabulary gives other ids, and each difference is reported with both")
    func other() throws {
        let tokenizer = try QwenTokenizer(directory: TokenizerFixtures.embedded)
        #expect(tokenizer.idBound != PublishedVocabulary.size)
        let mismatches = PublishedVocabulary.mismatches(of: tokenizer)
        #expect(
            mismatches.count
                == PublishedVocabulary.prompts.count + PublishedVocabulary.texts.count)
        let empty = try #require(mismatches.first { $0.text.isEmpty })
        #expect(empty.expected == [151644, 872, 198, 151645, 198, 151644, 77091, 198])
        #expect(empty.found == tokenizer.encodePrompt("").ids)
    }

    @Test("every known id is one of the vocabulary")
    func range() {
        for example in PublishedVocabulary.prompts + PublishedVocabulary.texts {
            #expect(example.ids.allSatisfy { 0..<Int32(PublishedVocabulary.size) ~= $0 })
        }
    }
}
