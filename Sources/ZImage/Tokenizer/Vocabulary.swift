// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles

/// The checked content of a tokenizer's files.
struct Vocabulary {
    /// The id of each single byte, by its value.
    let byteIds: [Int32]
    let merges: MergeTable
    let addedTokens: AddedTokens
    /// Whether text is normalised to NFC.
    let composes: Bool
    /// One more than the largest id.
    let idBound: Int

    /// Reads a tokenizer's folder, or the tokenizer inside a GGUF file.
    ///
    /// - Throws: `TokenizerError`; nothing that a file holds is a programmer's error.
    init(directory: URL) throws(TokenizerError) {
        if directory.pathExtension.lowercased() == "gguf" {
            self = try VocabularyBuilder(gguf: directory).build()
            return
        }
        let files = try TokenizerFiles(directory: directory)
        var builder: VocabularyBuilder
        if let bytes = try files.read("tokenizer.json") {
            builder = try VocabularyBuilder(tokenizer: bytes)
        } else {
            let vocabulary = try files.read("vocab.json")
            let merges = try files.read("merges.txt")
            guard let vocabulary, let merges else {
                throw .notFound(
                    "Expected tokenizer.json, or vocab.json and merges.txt, in "
                        + "\(directory.path(percentEncoded: false)), found "
                        + (vocabulary != nil ? "vocab.json alone." : "")
                        + (merges != nil ? "merges.txt alone." : "")
                        + (vocabulary == nil && merges == nil ? "neither." : "")
                )
            }
            builder = try VocabularyBuilder(vocabulary: vocabulary, merges: merges)
        }
        if let bytes = try files.read("tokenizer_config.json") {
            try builder.addTokens(config: bytes)
        }
        self = try builder.build()
    }

    init(
        byteIds: [Int32],
        merges: MergeTable,
        addedTokens: AddedTokens,
        composes: Bool,
        idBound: Int
    ) {
        self.byteIds = byteIds
        self.merges = merges
        self.addedTokens = addedTokens
        self.composes = composes
        self.idBound = idBound
    }
}
