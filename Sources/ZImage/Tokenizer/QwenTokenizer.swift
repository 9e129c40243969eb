// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// The byte-level BPE tokenizer of the Qwen text encoders.
///
/// Returns the same ids as the Rust library `tokenizers` for the same files: added tokens are split
/// off the raw text, the text between them is normalised (NFC), split by the Qwen2 pattern and merged.
/// No id is added before or after.
///
/// A Swift string cannot hold a lone surrogate: a JSON reader must replace it by U+FFFD or refuse it.
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
    /// encoder can take the place of the folder.
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

    /// Encodes a text without a template.
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

    /// Encodes a prompt as the only message of a chat and truncates it on the right.
    ///
    /// Truncation follows the template, as in the reference pipeline: a prompt that is too long loses
    /// its end and the end of the template.
    ///
    /// - Parameters:
    ///   - prompt: The prompt; not trimmed. Added tokens in it are encoded as such.
    ///   - maxLength: Maximum number of ids.
    /// - Returns: The remaining ids, without padding, and the number before truncation.
    public func encodePrompt(_ prompt: String, maxLength: Int = 512) -> EncodedPrompt {
        let ids = encode(Self.chat(prompt))
        return EncodedPrompt(ids: Array(ids.prefix(max(0, maxLength))), fullLength: ids.count)
    }

    /// The chat template of Qwen3 for one user message, with the assistant about to speak and
    /// thinking left on, which adds nothing.
    static func chat(_ prompt: String) -> String {
        "<|im_start|>user\n" + prompt + "<|im_end|>\n<|im_start|>assistant\n"
    }

    /// A part of a prepared text.
    private enum Section {
        case added(Int32)
        case text(Range<Int>)
    }

    /// Splits off the added tokens and normalises the text between them.
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
