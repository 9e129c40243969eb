// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing
import ZImage

/// Ids against those of the reference library, `tokenizers`.
@Suite struct TokenizerParityTests {
    let fixtures: TokenizerFixtures

    init() throws {
        fixtures = try TokenizerFixtures()
    }

    @Test("12,000 texts have the reference's ids with the embedded vocabulary")
    func embeddedVocabulary() throws {
        let tokenizer = try QwenTokenizer(directory: TokenizerFixtures.embedded)
        try expectHashes("strings-embedded.bin") { tokenizer.encode(fixtures.string($0)) }
    }

    @Test("12,000 texts and 3,000 runs of bytes have the reference's ids with 50,000 tokens")
    func trainedVocabulary() throws {
        let vocabulary = try TestVocabulary.trained()
        let files = ["tokenizer.json": vocabulary.tokenizerJSON()]
        let tokenizer = try withFolder(files) { try QwenTokenizer(directory: $0) }
        #expect(tokenizer.idBound == vocabulary.tokens.count + vocabulary.addedTokens.count)
        try expectHashes("strings-50k.bin") { tokenizer.encode(fixtures.string($0)) }
        try expectHashes("bytes-50k.bin") {
            tokenizer.encode(String(decoding: fixtures.bytes($0), as: UTF8.self))
        }
    }

    @Test("every layout of the files gives the same ids")
    func layouts() throws {
        let vocabulary = try TestVocabulary.trained()
        let reference = ["tokenizer.json": vocabulary.tokenizerJSON(pairs: true)]
        let others = [
            ["tokenizer.json": vocabulary.tokenizerJSON(pairs: false)],
            [
                "vocab.json": vocabulary.vocabularyJSON, "merges.txt": vocabulary.mergesText,
                "tokenizer_config.json": vocabulary.configJSON,
            ],
            reference.merging(
                [
                    "vocab.json": vocabulary.vocabularyJSON, "merges.txt": vocabulary.mergesText,
                    "tokenizer_config.json": vocabulary.configJSON,
                ],
                uniquingKeysWith: { first, _ in first }
            ),
        ]
        let expected = try withFolder(reference) { try QwenTokenizer(directory: $0) }
        for files in others {
            let tokenizer = try withFolder(files) { try QwenTokenizer(directory: $0) }
            #expect(tokenizer.idBound == expected.idBound)
            for number in 0..<500 {
                let text = fixtures.string(number)
                #expect(tokenizer.encode(text) == expected.encode(text), "text \(number)")
            }
        }
    }

    @Test("prompts have the ids of the chat template, cut off at 512")
    func prompts() throws {
        struct Prompt: Decodable {
            let text: String
            let ids: [Int32]
            let fullLength: Int
        }
        let tokenizer = try QwenTokenizer(directory: TokenizerFixtures.embedded)
        let data = try TokenizerFixtures.data("prompts.json")
        for prompt in try JSONDecoder().decode([Prompt].self, from: data) {
            let encoded = tokenizer.encodePrompt(prompt.text)
            #expect(encoded.ids == prompt.ids, "\(prompt.text.prefix(40))")
            #expect(encoded.fullLength == prompt.fullLength)
            #expect(encoded.truncated == (prompt.fullLength > 512))
        }
        let whole = tokenizer.encodePrompt("A cat.", maxLength: 1024)
        let cut = tokenizer.encodePrompt("A cat.", maxLength: 4)
        #expect(cut.ids == Array(whole.ids.prefix(4)))
        #expect(cut.truncated && cut.fullLength == whole.ids.count)
        #expect(!whole.truncated)
    }

    @Test("a word of a megabyte is encoded in order n log n", .timeLimit(.minutes(5)))
    func longWord() throws {
        let tokenizer = try QwenTokenizer(directory: TokenizerFixtures.embedded)
        let text = String(repeating: "photograph", count: 100_000)
        let ids = tokenizer.encode(text)
        // The word repeats, so what a short one gives must come back, but for the ends.
        let short = tokenizer.encode(String(repeating: "photograph", count: 5))
        #expect(ids.count < text.utf8.count && ids.prefix(4) == short.prefix(4))
        let marks = String(repeating: "\u{301}\u{323}", count: 100_000)
        #expect(tokenizer.encode("e" + marks).count > 100_000)
        #expect(tokenizer.encode(String(repeating: " ", count: 1_000_000)).isEmpty == false)
    }

    /// Compares the hash of each answer with the stored one and reports the first few that differ.
    private func expectHashes(_ file: String, _ answer: (Int) -> [Int32]) throws {
        let expected = try TokenizerFixtures.hashes(file)
        #expect(expected.count >= 3_000)
        let wrong = expected.indices.filter { TokenizerFixtures.hash(answer($0)) != expected[$0] }
        #expect(wrong.isEmpty, "\(file): \(wrong.count) differ, the first are \(wrong.prefix(5))")
    }
}
