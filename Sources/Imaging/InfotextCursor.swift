// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// A position in a text of pairs that only moves forward, which makes parsing linear.
struct InfotextCursor {
    private let scalars: [Unicode.Scalar]
    private var position = 0
    /// Set when a quote is not terminated: later quotes are not searched again, which would take
    /// quadratic time on a hostile line.
    private var quotesAreOver = false
    /// Likewise of brackets.
    private var bracketsAreOver = false

    init(_ text: String) {
        scalars = Array(text.unicodeScalars)
    }

    /// Skips white space and commas; returns `false` at the end, which is a line feed as well for `inLine`.
    mutating func skipToItem(inLine: Bool = false) -> Bool {
        while let scalar = peek, scalar == "," || scalar.properties.isWhitespace {
            if inLine, scalar == "\n" { return false }
            position += 1
        }
        return position < scalars.count
    }

    /// The number of lines up to the position.
    var linesRead: Int { scalars[..<position].count { $0 == "\n" } + 1 }

    /// Skips the given scalar, if it is next, and the spaces after it.
    mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar else { return false }
        position += 1
        while peek == " " { position += 1 }
        return true
    }

    /// Reads a value up to the comma, the line feed or the end: quoted, an object or array in JSON, or bare.
    mutating func readValue() -> String {
        readQuoted(before: ",") ?? readBracketed() ?? readBare(until: [",", "\n"])
    }

    /// Reads up to one of the scalars, without white space at both ends.
    mutating func readBare(until stops: [Unicode.Scalar]) -> String {
        let start = position
        while let scalar = peek, !stops.contains(scalar) { position += 1 }
        return string(scalars[start..<position]).trimmed
    }

    /// Reads a JSON string that ends before a scalar or at the end; does not move without one.
    ///
    /// A string with an invalid escape is returned verbatim; line feeds may be written as they are.
    mutating func readQuoted(before follower: Unicode.Scalar) -> String? {
        guard peek == "\"", !quotesAreOver else { return nil }
        var end = position + 1
        while end < scalars.count, scalars[end] != "\"" {
            end += scalars[end] == "\\" ? 2 : 1
        }
        guard end < scalars.count else {
            quotesAreOver = true
            return nil
        }
        guard isEnd(end + 1, follower) else { return nil }
        let slice = scalars[position...end]
        position = end + 1
        var literal = ""
        for scalar in slice {
            if scalar.value < 0x20 {
                literal += "\\u" + scalar.value.hexadecimal(digits: 4)
            } else {
                literal.unicodeScalars.append(scalar)
            }
        }
        let text = try? JSONDecoder().decode(String.self, from: Data(literal.utf8))
        return text ?? string(slice)
    }

    /// Reads an object or array that is not quoted, as its text; does not move without one.
    private mutating func readBracketed() -> String? {
        guard peek == "{" || peek == "[", !bracketsAreOver else { return nil }
        var (depth, isQuoted, end) = (0, false, position)
        repeat {
            guard end < scalars.count else { break }
            switch scalars[end] {
            case "\\" where isQuoted: end += 1
            case "\"": isQuoted.toggle()
            case "{" where !isQuoted, "[" where !isQuoted: depth += 1
            case "}" where !isQuoted, "]" where !isQuoted: depth -= 1
            default: break
            }
            end += 1
        } while depth > 0
        guard depth == 0, isEnd(end, ",") else {
            bracketsAreOver = true
            return nil
        }
        let text = string(scalars[position..<min(end, scalars.count)])
        position = end
        return text
    }

    /// Whether a value may end before an index.
    private func isEnd(_ index: Int, _ follower: Unicode.Scalar) -> Bool {
        index >= scalars.count || scalars[index] == follower || scalars[index] == "\n"
    }

    private var peek: Unicode.Scalar? {
        position < scalars.count ? scalars[position] : nil
    }

    private func string(_ slice: ArraySlice<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: slice)
        return String(view)
    }
}
