// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

extension JSONValue {
    /// Deepest nesting of arrays and objects in a document of a client.
    static var maximumDepth: Int { 32 }
    /// Values in a document of a client.
    static var maximumValues: Int { 100_000 }
    /// Bytes of a key in a document of a client.
    ///
    /// Swift compares and hashes text by canonical equivalence, which takes quadratic time for a run of
    /// combining marks: text of clients is bounded wherever it is compared.
    static var maximumKeyBytes: Int { 256 }

    /// What programs of Windows put before a text in UTF-8.
    static var byteOrderMark: [UInt8] { [0xEF, 0xBB, 0xBF] }

    /// Reads a document of a client, and accepts common mistakes of clients.
    ///
    /// Clients that cut text at a fixed length send half of an emoji as `\ud83d`, which is read as
    /// U+FFFD. A byte order mark is skipped.
    ///
    /// - Throws: `JSONSyntaxError`.
    init(client document: [UInt8]) throws(JSONSyntaxError) {
        let mark = Self.byteOrderMark
        try self.init(
            document.starts(with: mark) ? Array(document.dropFirst(mark.count)) : document,
            options: .init(
                depthLimit: Self.maximumDepth, valueLimit: Self.maximumValues,
                keyLimit: Self.maximumKeyBytes, isLenient: true))
    }

    /// The value as error messages quote it, shortened.
    var summary: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .unsigned(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): Self.summary(value)
        case .array(let values): "an array of \(values.count)"
        case .object: "an object"
        }
    }

    /// The beginning of a text in quotes; a single character may consist of any number of scalars.
    private static func summary(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(160)
        let head = String(String.UnicodeScalarView(scalars))
        let isWhole = scalars.endIndex == text.unicodeScalars.endIndex
        return head.count > 40 || !isWhole ? "\"\(head.prefix(40))…\"" : "\"\(head)\""
    }
}
