// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation

extension JSONValue {
    /// Largest document that is read; real ones have some kilobytes.
    static var byteLimit: Int { 8 << 20 }

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
            try self.init(bytes)
        } catch {
            throw CheckpointError(
                code: .badConfig,
                message: "\(source) is not valid JSON: at byte \(error.offset), \(error.reason).",
                remedy: "Download the file again, or repair it.", cause: error)
        }
    }

    /// Reads the document in a file.
    ///
    /// - Throws: `CheckpointError` of code `notFound`, `unreadable` or `badConfig`.
    package init(contentsOf url: URL) throws(CheckpointError) {
        let file = try MappedFile(url)
        try self.init(parsing: file.bytes, source: url.path.quoted)
    }

    /// The value as a message shows it: short, on one line.
    var shown: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .unsigned(let value): "\(value)"
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
