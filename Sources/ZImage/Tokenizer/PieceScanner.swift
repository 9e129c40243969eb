// Part of Inkstone. Licence: see LICENSE.

/// Splits text into the pieces that byte-pair merges do not cross.
///
/// Written by hand for one pattern, Qwen2's, whose first alternative that matches wins:
///
///     (?i:'s|'t|'re|'ve|'m|'ll|'d)        contractions, in any case
///     [^\r\n\p{L}\p{N}]?\p{L}+            a word with at most one sign or blank before it
///     \p{N}                               one digit
///      ?[^\s\p{L}\p{N}]+[\r\n]*           signs with at most one space before them
///     \s*[\r\n]+                          blanks up to the last line end of their run
///     \s+(?!\S)                           blanks but the last one before a word
///     \s+                                 the remaining blanks
package enum PieceScanner {
    /// The pieces of a text.
    package static func pieces(of text: String) -> [String] {
        let bytes = Array(text.utf8)
        var pieces: [String] = []
        var start = 0
        while start < bytes.count {
            let end = end(of: start, in: bytes.span, limit: bytes.count)
            pieces.append(String(decoding: bytes[start..<end], as: UTF8.self))
            start = end
        }
        return pieces
    }

    /// The pattern in `tokenizer.json`; any other is refused.
    static let pattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
        + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// Returns the end of the piece that begins at `start`.
    ///
    /// - Parameters:
    ///   - start: The first byte of a scalar, below `limit`.
    ///   - bytes: Valid UTF-8.
    ///   - limit: The end of the text; nothing beyond it is read.
    /// - Returns: An index above `start` and at most `limit`.
    static func end(of start: Int, in bytes: borrowing Span<UInt8>, limit: Int) -> Int {
        let (first, length) = bytes.scalar(at: start)
        let kind = ScalarClass.of(first)
        let next = start + length
        if kind.contains(.letter) { return endOfLetters(bytes, next, limit) }
        if kind.contains(.number) { return next }
        if first == apostrophe, let end = endOfContraction(bytes, next, limit) { return end }

        let isLineEnd = first == carriageReturn || first == lineFeed
        if !isLineEnd, next < limit {
            let (second, width) = bytes.scalar(at: next)
            let secondKind = ScalarClass.of(second)
            if secondKind.contains(.letter) { return endOfLetters(bytes, next + width, limit) }
            if first == space, secondKind.isDisjoint(with: [.letter, .number, .space]) {
                return endOfSigns(bytes, next + width, limit)
            }
        }
        guard kind.contains(.space) else { return endOfSigns(bytes, next, limit) }
        return endOfBlanks(bytes, start, limit)
    }

    private static let apostrophe: UInt32 = 0x27
    private static let space: UInt32 = 0x20
    private static let lineFeed: UInt32 = 0x0A
    private static let carriageReturn: UInt32 = 0x0D

    /// Returns the end of a run of letters.
    private static func endOfLetters(
        _ bytes: borrowing Span<UInt8>,
        _ start: Int,
        _ limit: Int
    ) -> Int {
        var index = start
        while index < limit {
            let (scalar, length) = bytes.scalar(at: index)
            guard ScalarClass.of(scalar).contains(.letter) else { break }
            index += length
        }
        return index
    }

    /// Returns the end of a run of signs and of the line ends that follow it.
    private static func endOfSigns(
        _ bytes: borrowing Span<UInt8>,
        _ start: Int,
        _ limit: Int
    ) -> Int {
        var index = start
        while index < limit {
            let (scalar, length) = bytes.scalar(at: index)
            guard ScalarClass.of(scalar).isDisjoint(with: [.letter, .number, .space]) else { break }
            index += length
        }
        while index < limit, bytes[index] == lineFeed || bytes[index] == carriageReturn {
            index += 1
        }
        return index
    }

    /// Returns the end of the piece at the start of a run of white space.
    private static func endOfBlanks(
        _ bytes: borrowing Span<UInt8>,
        _ start: Int,
        _ limit: Int
    ) -> Int {
        var index = start
        var last = start
        var afterLineEnd: Int?
        while index < limit {
            let (scalar, length) = bytes.scalar(at: index)
            guard ScalarClass.of(scalar).contains(.space) else { break }
            last = index
            index += length
            if scalar == lineFeed || scalar == carriageReturn { afterLineEnd = index }
        }
        if let afterLineEnd { return afterLineEnd }
        // Before a word, the last blank belongs to the next piece, unless it is the only one.
        return index == limit || last == start ? index : last
    }

    /// Returns the end of `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` whose apostrophe ends at `start`.
    private static func endOfContraction(
        _ bytes: borrowing Span<UInt8>,
        _ start: Int,
        _ limit: Int
    ) -> Int? {
        guard start < limit else { return nil }
        let first = bytes[start]
        // Other bytes that the case bit turns into one of these letters are not letters.
        switch (first | 0x20, start + 1 < limit ? bytes[start + 1] | 0x20 : 0) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _),
            (UInt8(ascii: "d"), _):
            return start + 1
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 2
        default:
            // U+017F, the long s, folds onto s.
            return first == 0xC5 && start + 1 < limit && bytes[start + 1] == 0xBF ? start + 2 : nil
        }
    }
}
