// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// The byte-level BPE tokenizer of the Qwen text encoders.
///
/// It gives the ids that the Rust library `tokenizers` gives for the same files, bit for bit:
/// added tokens are cut out of the raw text, what lies between is composed (NFC), split by the
/// Qwen2 pattern and merged. No id is added before or after.
///
/// A Swift string cannot hold a lone surrogate: what reads a prompt from JSON must have put U+FFFD
/// in its place, or have refused it, before the prompt comes here.
///
/// ```swift
/// let tokenizer = try QwenTokenizer(directory: model.appending(path: "tokenizer"))
/// let prompt = tokenizer.encodePrompt("A cat.")
/// if prompt.truncated { print("the last words of the prompt are not seen") }
/// ```
///
/// - Source: Qwen2's `tokenizer.json`; checked by `TokenizerParityTests` against `tokenizers`.
public struct QwenTokenizer: Sendable {
    /// One more than the largest id that `encode(_:)` can return.
    ///
    /// The text encoder's embedding needs at least this many rows.
    public let idBound: Int

    private let byteIds: [Int32]
    private let merges: MergeTable
    private let addedTokens: AddedTokens
    private let composes: Bool

    /// Reads the tokenizer in a checkpoint's `tokenizer` folder.
    ///
    /// `tokenizer.json` is read if there is one, else `vocab.json` with `merges.txt`. Added tokens
    /// are those of `tokenizer.json` and of `tokenizer_config.json` together. A GGUF file of the text
    /// encoder may stand in place of the folder.
    ///
    /// - Parameter directory: The folder, or the GGUF file.
    /// - Throws: `TokenizerError` when a file is missing or malformed, or when it describes another
    ///   kind of tokenizer.
    public init(directory: URL) throws(TokenizerError) {
        self.init(try Vocabulary(directory: directory))
    }

    init(_ vocabulary: Vocabulary) {
        idBound = vocabulary.idBound
        byteIds = vocabulary.byteIds
        merges = vocabulary.merges
        addedTokens = vocabulary.addedTokens
        composes = vocabulary.composes
    }

    /// The ids of a text as it stands, without a template.
    ///
    /// - Complexity: O(n log n) in the length of the longest piece between two splits.
    public func encode(_ text: String) -> [Int32] {
        let (bytes, sections) = prepare(Array(text.utf8))
        var encoder = PieceEncoder(byteIds: byteIds, merges: merges, textLength: bytes.count)
        let span = bytes.span
        for section in sections {
            switch section {
            case .added(let id):
                encoder.append(id)
            case .text(let range):
                var start = range.lowerBound
                while start < range.upperBound {
                    let end = PieceScanner.end(of: start, in: span, limit: range.upperBound)
                    encoder.append(start..<end, of: span)
                    start = end
                }
            }
        }
        return encoder.ids
    }

    /// The ids of a prompt as the only message of a chat, cut off at the right.
    ///
    /// The cut comes after the template is applied, as in the reference pipeline: a prompt that is
    /// too long loses its tail and the words that close the template.
    ///
    /// - Parameters:
    ///   - prompt: The user's words; not trimmed. Added tokens in it count as such.
    ///   - maxLength: How many ids to keep at most.
    /// - Returns: The ids that are left, without padding, and how many there were.
    public func encodePrompt(_ prompt: String, maxLength: Int = 512) -> EncodedPrompt {
        let ids = encode(Self.chat(prompt))
        return EncodedPrompt(ids: Array(ids.prefix(max(0, maxLength))), fullLength: ids.count)
    }

    /// The chat template of Qwen3 for one user message, with the assistant about to speak and
    /// thinking left on, which adds nothing.
    static func chat(_ prompt: String) -> String {
        "<|im_start|>user\n" + prompt + "<|im_end|>\n<|im_start|>assistant\n"
    }

    /// A stretch of a prepared text.
    private enum Section {
        case added(Int32)
        case text(Range<Int>)
    }

    /// Cuts out the added tokens and composes what lies between them.
    private func prepare(_ raw: [UInt8]) -> (bytes: [UInt8], sections: [Section]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(raw.count)
        var sections: [Section] = []
        let span = raw.span

        func addText(_ range: Range<Int>) {
            guard !range.isEmpty else { return }
            let start = bytes.count
            if composes {
                Composition.append(span, range, to: &bytes)
            } else {
                bytes += raw[range]
            }
            sections.append(.text(start..<bytes.count))
        }

        var textStart = 0
        var index = 0
        while index < raw.count {
            guard let (length, id) = addedTokens.match(span, at: index) else {
                index += 1
                continue
            }
            addText(textStart..<index)
            sections.append(.added(id))
            index += length
            textStart = index
        }
        addText(textStart..<raw.count)
        return (bytes, sections)
    }
}
