// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// A vocabulary that tests write to a folder, whole or damaged.
struct TestVocabulary {
    /// Tokens by id; the first 256 are the bytes.
    var tokens: [String]
    var merges: [(left: String, right: String)]
    var addedTokens: [String]

    /// The vocabulary of `merges-50k.bin`.
    static func trained() throws -> TestVocabulary {
        try shared.get()
    }

    private static let shared = Result { try readTrained() }

    private static func readTrained() throws -> TestVocabulary {
        var vocabulary = TestVocabulary(
            tokens: bytes,
            merges: [],
            addedTokens: try TokenizerFixtures().addedTokens
        )
        var known = Set(vocabulary.tokens)
        let pairs = [UInt8](try TokenizerFixtures.data("merges-50k.bin"))
        for start in stride(from: 0, to: pairs.count, by: 4) {
            let ids = [0, 2].map { Int(pairs[start + $0]) | Int(pairs[start + $0 + 1]) << 8 }
            let (left, right) = (vocabulary.tokens[ids[0]], vocabulary.tokens[ids[1]])
            vocabulary.merges.append((left, right))
            if known.insert(left + right).inserted { vocabulary.tokens.append(left + right) }
        }
        return vocabulary
    }

    /// The bytes, three merges and the template's tokens.
    static func small() -> TestVocabulary {
        TestVocabulary(
            tokens: bytes + ["ab", "abc", "Ġab"],
            merges: [("a", "b"), ("ab", "c"), ("Ġ", "ab")],
            addedTokens: ["<|im_start|>", "<|im_end|>"]
        )
    }

    /// The printable stand-ins of the bytes, in the order of the bytes.
    static let bytes: [String] = {
        let plain = Array(33...126) + Array(161...172) + Array(174...255)
        var next = 256
        return (0...255).map { byte in
            var text = ""
            let isPlain = plain.contains(byte)
            TokenizerFixtures.append(UInt32(isPlain ? byte : next), to: &text)
            next += isPlain ? 0 : 1
            return text
        }
    }()

    // MARK: - Files

    static let normalizer = #"{"type": "NFC"}"#
    static let pattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
        + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
    static let split = """
        {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": \(quoted(pattern))}, "behavior": "Isolated",
        "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]}
        """

    var vocabularyJSON: String {
        let members = tokens.enumerated().map { "\(Self.quoted($1)): \($0)" }
        return "{" + members.joined(separator: ", ") + "}"
    }

    var mergesText: String {
        "#version: 0.2\n" + merges.map { "\($0) \($1)\n" }.joined()
    }

    /// `tokenizer.json`, with merges as pairs or, as older files have them, as strings.
    func tokenizerJSON(
        pairs: Bool = true,
        normalizer: String = normalizer,
        split: String = split,
        model: String = #""type": "BPE", "dropout": null"#,
        processor: String = "null"
    ) -> String {
        let added = addedTokens.enumerated().map { index, text in
            #"{"id": \#(tokens.count + index), "content": \#(Self.quoted(text)), "normalized": false}"#
        }
        let merges = merges.map { left, right in
            pairs
                ? "[\(Self.quoted(left)), \(Self.quoted(right))]" : Self.quoted("\(left) \(right)")
        }
        return """
            {"version": "1.0", "added_tokens": [\(added.joined(separator: ", "))],
            "normalizer": \(normalizer), "pre_tokenizer": \(split), "post_processor": \(processor),
            "model": {\(model), "vocab": \(vocabularyJSON),
            "merges": [\(merges.joined(separator: ",\n"))]}}
            """
    }

    var configJSON: String {
        let added = addedTokens.enumerated().map { index, text in
            #""\#(tokens.count + index)": {"content": \#(Self.quoted(text)), "special": true}"#
        }
        return
            #"{"model_max_length": 131072, "added_tokens_decoder": {\#(added.joined(separator: ","))}}"#
    }

    static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}

/// Runs `body` with a folder that holds these files and is removed afterwards.
func withFolder<Result>(
    _ files: [String: String],
    _ body: (URL) throws -> Result
) throws -> Result {
    let folder = FileManager.default.temporaryDirectory
        .appending(path: "inkstone-tokenizer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files {
        try Data(text.utf8).write(to: folder.appending(path: name))
    }
    return try body(folder)
}
