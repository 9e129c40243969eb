// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A normaliser, pre-tokenizer or post-processor as `tokenizer.json` describes it.
///
/// Read only to refuse components that this tokenizer does not implement.
struct TokenizerComponent: Decodable {
    let type: String
    let normalizers: [TokenizerComponent]?
    let pretokenizers: [TokenizerComponent]?
    let processors: [TokenizerComponent]?
    let pattern: [String: String]?
    let behavior: String?
    let invert: Bool?
    let addPrefixSpace: Bool?
    let useRegex: Bool?
    let specialTokens: [String: Ignored]?

    /// A value of which only the presence matters.
    struct Ignored: Decodable {
        init(from decoder: any Decoder) {}
    }

    private enum CodingKeys: String, CodingKey {
        case type, normalizers, pretokenizers, processors, pattern, behavior, invert
        case addPrefixSpace = "add_prefix_space"
        case useRegex = "use_regex"
        case specialTokens = "special_tokens"
    }

    /// Returns whether a `normalizer` composes (NFC); refuses any other.
    static func composes(_ normalizer: TokenizerComponent?) throws(TokenizerError) -> Bool {
        guard let normalizer else { return false }
        switch normalizer.type {
        case "NFC":
            return true
        case "Sequence":
            var composes = false
            for part in normalizer.normalizers ?? [] {
                composes = try Self.composes(part) || composes
            }
            return composes
        default:
            throw .unsupported(
                "tokenizer.json has the normalizer \(normalizer.type), expected NFC or none."
            )
        }
    }

    /// Refuses any `pre_tokenizer` except Qwen2's.
    static func checkSplit(_ component: TokenizerComponent?) throws(TokenizerError) {
        let expected = "expected Qwen2's Split followed by ByteLevel"
        guard let component else {
            throw .unsupported("tokenizer.json has no pre-tokenizer, \(expected).")
        }
        let parts = component.type == "Sequence" ? component.pretokenizers ?? [] : [component]
        let types = parts.map(\.type)
        guard types == ["Split", "ByteLevel"] else {
            throw .unsupported(
                "tokenizer.json has the pre-tokenizer \(types.joined(separator: ", ")), \(expected)."
            )
        }
        let (split, bytes) = (parts[0], parts[1])
        let regex = split.pattern?["Regex"]
        guard regex == PieceScanner.pattern else {
            throw .unsupported(
                "tokenizer.json splits by the pattern \(regex ?? "of a plain string"), "
                    + "expected Qwen2's \(PieceScanner.pattern)."
            )
        }
        guard split.behavior == "Isolated", split.invert != true else {
            throw .unsupported(
                "tokenizer.json splits with the behaviour \(split.behavior ?? "of none")"
                    + "\(split.invert == true ? ", inverted" : ""), expected Isolated."
            )
        }
        guard bytes.addPrefixSpace == false, bytes.useRegex == false else {
            throw .unsupported(
                "tokenizer.json has a ByteLevel pre-tokenizer with a prefix space or a pattern "
                    + "of its own, expected neither."
            )
        }
    }

    /// Refuses a `post_processor` that adds tokens.
    static func checkAddsNothing(_ processor: TokenizerComponent?) throws(TokenizerError) {
        guard let processor else { return }
        switch processor.type {
        case "ByteLevel":
            return
        case "TemplateProcessing" where (processor.specialTokens ?? [:]).isEmpty:
            return
        case "Sequence":
            for part in processor.processors ?? [] { try checkAddsNothing(part) }
        default:
            throw .unsupported(
                "tokenizer.json has the post-processor \(processor.type), "
                    + "expected one that adds no token."
            )
        }
    }
}
