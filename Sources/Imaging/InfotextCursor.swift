// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A position in a line of pairs that only moves forward, which makes parsing linear.
struct InfotextCursor {
    private let scalars: [Unicode.Scalar]
    private var position = 0
    /// Set when a quote is not terminated: later quotes are not searched again, which would take
    /// quadratic time on a hostile line.
    private var quotesAreOver = false

    init(_ text: String) {
        scalars = Array(text.unicodeScalars)
    }

    /// Skips white space and commas; returns `false` at the end.
    mutating func skipToItem() -> Bool {
        while let scalar = peek, scalar == "," || scalar.properties.isWhitespace { position += 1 }
        return position < scalars.count
    }

    /// Skips the given scalar, if it is next, and the spaces after it.
    mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar else { return false }
        position += 1
        while peek == " " { position += 1 }
        return true
    }

    /// Reads a quoted or bare value, up to the comma or the end.
    mutating func readValue() -> String {
        readQuoted(before: ",") ?? readBare(until: [","])
    }

    /// Reads up to one of the scalars, without white space at both ends.
    mutating func readBare(until stops: [Unicode.Scalar]) -> String {
        let start = position
        while let scalar = peek, !stops.contains(scalar) { position += 1 }
        return string(scalars[start..<position]).trimmed
    }

    /// Reads a JSON string that ends before a scalar or at the end; does not move without one.
    ///
    /// A string with an invalid escape is returned verbatim.
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
        guard end + 1 == scalars.count || scalars[end + 1] == follower else { return nil }
        let literal = string(scalars[position...end])
        position = end + 1
        return (try? JSONDecoder().decode(String.self, from: Data(literal.utf8))) ?? literal
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
