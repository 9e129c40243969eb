// Part of Inkstone. Licence: see LICENSE.

package import Foundation

/// A value of a JSON document.
package enum JSONValue: Sendable, Equatable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number written without fraction or exponent that fits a 64-bit integer.
    case integer(Int)
    /// Any other number.
    case number(Double)
    /// A text.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// Values by key.
    case object([String: JSONValue])

    /// Largest document that is read; real ones have some kilobytes.
    static let byteLimit = 8 << 20

    /// Reads a document, strictly.
    ///
    /// - Parameters:
    ///   - bytes: the whole document, in UTF-8.
    ///   - source: name for the error message, such as a path in quotes.
    /// - Throws: `CheckpointError` of code `badConfig`.
    package init(parsing bytes: UnsafeRawBufferPointer, source: String) throws(CheckpointError) {
        guard bytes.count <= Self.byteLimit else {
            throw CheckpointError(
                code: .badConfig,
                message: "\(source) has \(bytes.count) bytes, expected a JSON document of at most"
                    + " \(Self.byteLimit).")
        }
        do {
            var scanner = JSONScanner(bytes)
            self = try Self.value(&scanner)
            try scanner.expectEnd()
        } catch {
            throw CheckpointError(
                code: .badConfig,
                message: "\(source) is not valid JSON: at byte \(error.offset), \(error.reason).",
                remedy: "Download the file again, or mend it.", cause: error)
        }
    }

    /// Reads the document in a file.
    ///
    /// - Throws: `CheckpointError` of code `notFound`, `unreadable` or `badConfig`.
    package init(contentsOf url: URL) throws(CheckpointError) {
        let file = try MappedFile(url)
        try self.init(parsing: file.bytes, source: url.path.quoted)
    }

    private static func value(_ scanner: inout JSONScanner) throws(JSONSyntaxError) -> JSONValue {
        switch scanner.peek() {
        case UInt8(ascii: "{"):
            var members: [String: JSONValue] = [:]
            try scanner.object { (scanner, key) throws(JSONSyntaxError) in
                guard members.updateValue(try value(&scanner), forKey: key) == nil else {
                    throw scanner.failure("the key \(key.quoted) comes twice")
                }
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try scanner.array { (scanner) throws(JSONSyntaxError) in
                elements.append(try value(&scanner))
            }
            return .array(elements)
        case UInt8(ascii: "\""):
            return .string(try scanner.string())
        default:
            if scanner.take(word: "null") { return .null }
            if scanner.take(word: "true") { return .bool(true) }
            if scanner.take(word: "false") { return .bool(false) }
            return try scanner.number()
        }
    }

    /// The value as a message shows it: short, on one line.
    var shown: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): value.quoted
        case .array(let elements):
            elements.count > 8
                ? "a list of \(elements.count)"
                : "[" + elements.map(\.shown).joined(separator: ", ") + "]"
        case .object(let members): "an object with \(members.count) keys"
        }
    }
}
