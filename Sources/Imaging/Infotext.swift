// Part of Inkstone. Licence: see LICENSE.

import Basics

/// The grammar of a line of generation parameters: keys, quoted values, pairs.
///
/// `pairs = pair *( ", " pair )`, `pair = key ": " value`. A value is bare, or a JSON string
/// where a bare one would be ambiguous.
enum Infotext {
    /// A last line with fewer pairs than this belongs to the prompt.
    static let minimumPairs = 3
    /// Bytes of the longest key, and of the longest name in a list; others are skipped.
    ///
    /// They are compared, which takes quadratic time for a run of combining marks.
    static let maximumKeyBytes = 512

    /// Whether a text is a word character, then word characters, spaces, `-` and `/`.
    static func isKey(_ text: some StringProtocol) -> Bool {
        guard let first = text.unicodeScalars.first, isWord(first),
            text.utf8.count <= maximumKeyBytes, text.unicodeScalars.count >= 2,
            text.unicodeScalars.last != " "
        else { return false }
        return text.unicodeScalars.allSatisfy { isWord($0) || " -/".unicodeScalars.contains($0) }
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }

    /// Writes one pair.
    static func pair(_ key: String, _ value: String) -> String {
        "\(key): \(quoteIfNeeded(value))"
    }

    /// A value, quoted if necessary.
    static func quoteIfNeeded(_ value: String) -> String {
        let scalars = value.unicodeScalars
        let needsQuotes =
            scalars.isEmpty || scalars.first == "\"" || scalars.first == "{"
            || scalars.first == "["
            || scalars.first?.properties.isWhitespace == true
            || scalars.last?.properties.isWhitespace == true
            || scalars.contains { $0 == "," || $0 == ":" || $0.value < 0x20 }
        return needsQuotes ? quote(value) : value
    }

    /// A JSON string that escapes only quotes, backslashes and control characters.
    private static func quote(_ value: String) -> String {
        var result = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 {
                    result += "\\u" + scalar.value.hexadecimal(digits: 4)
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }

    /// Writes one item of a list that is the value of a pair; its name is not restricted.
    static func pair(list name: String, _ value: String) -> String {
        "\(quoteIfNeeded(name)): \(quoteIfNeeded(value))"
    }

    /// The pairs of a text, and the lines that they are in.
    typealias Block = (pairs: [(key: String, value: String)], lines: Range<Int>)

    /// The key that programs write first.
    private static let firstKey = "Steps:"

    /// Finds the pairs among the lines of a file's text; `nil` if there are fewer than ``minimumPairs``.
    static func parameters(in lines: [String]) -> Block? {
        guard let last = lines.last else { return nil }
        let start = lines.lastIndex { $0.utf8.starts(with: firstKey.utf8) }
        if let start, start < lines.count - 1 {
            var block = pairs(in: lines[start...].joined(separator: "\n"))
            let isWhole = block.lines == lines.count - start
            if block.pairs.count >= minimumPairs,
                isWhole || pairs(in: last).pairs.count < minimumPairs
            {
                // Extensions write their own texts behind the parameters, such as `Template: …`.
                block.pairs += further(lines[(start + block.lines)...])
                return (block.pairs, start..<lines.count)
            }
        }
        let block = pairs(in: last).pairs
        return block.count < minimumPairs ? nil : (block, (lines.count - 1)..<lines.count)
    }

    /// Lines behind the parameters: a key with a text up to the next such line.
    private static func further(_ lines: ArraySlice<String>) -> [(key: String, value: String)] {
        var result: [(key: String, value: String)] = []
        for line in lines {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, isKey(parts[0]) {
                result.append((String(parts[0]), String(parts[1]).trimmed))
            } else if !result.isEmpty {
                result[result.count - 1].value += "\n" + line
            }
        }
        return result
    }

    /// Parses the pairs up to the first line feed outside of quotes; other text is skipped up to the next comma.
    ///
    /// - Returns: the pairs, and the number of lines that were read.
    private static func pairs(
        in text: String
    ) -> (pairs: [(key: String, value: String)], lines: Int) {
        var cursor = InfotextCursor(text)
        var result: [(key: String, value: String)] = []
        while cursor.skipToItem(inLine: true) {
            let key = cursor.readBare(until: [":", ",", "\n"])
            guard cursor.skip(":"), isKey(key) else {
                _ = cursor.readBare(until: [",", "\n"])
                continue
            }
            result.append((key, cursor.readValue()))
        }
        return (result, cursor.linesRead)
    }

    /// Parses the items of a list that is the value of a pair.
    static func list(_ text: String) -> [(name: String, value: String)] {
        var cursor = InfotextCursor(text)
        var result: [(name: String, value: String)] = []
        while cursor.skipToItem() {
            let name = cursor.readQuoted(before: ":") ?? cursor.readBare(until: [":", ","])
            guard cursor.skip(":") else { continue }
            result.append((name, cursor.readValue()))
        }
        return result
    }
}

extension String {
    /// The text without white space at both ends.
    var trimmed: String {
        var scalars = Substring(self).unicodeScalars
        while scalars.first?.properties.isWhitespace == true { scalars.removeFirst() }
        while scalars.last?.properties.isWhitespace == true { scalars.removeLast() }
        return String(Substring(scalars))
    }

    /// The lines between line feeds; a carriage return stays with its line.
    var linesByLineFeed: [String] {
        utf8.split(separator: 0x0A, omittingEmptySubsequences: false).map { String(Substring($0)) }
    }
}
