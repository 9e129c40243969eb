// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

extension JSONValue {
    /// Deepest nesting of arrays and objects in a document of a client.
    static var maximumDepth: Int { 32 }

    /// Reads a document of a client, and accepts common mistakes of clients.
    ///
    /// Clients that cut text at a fixed length send half of an emoji as `\ud83d`, which is read as
    /// U+FFFD. A byte order mark is skipped.
    ///
    /// - Throws: `JSONSyntaxError`.
    init(client document: [UInt8]) throws(JSONSyntaxError) {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        try self.init(
            document.starts(with: mark) ? Array(document.dropFirst(mark.count)) : document,
            options: .init(depthLimit: Self.maximumDepth, isLenient: true))
    }

    /// The value as error messages quote it, shortened.
    var summary: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value):
            value.count > 40 ? "\"\(value.prefix(40))…\"" : "\"\(value)\""
        case .array(let values): "an array of \(values.count)"
        case .object: "an object"
        }
    }
}
