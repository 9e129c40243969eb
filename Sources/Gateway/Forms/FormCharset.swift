// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A character set that the text of a form may be in.
enum FormCharset {
    case utf8
    /// ISO 8859-1.
    case latin1
    /// Any other that is known.
    case other(String.Encoding)

    private static let names: [String: FormCharset] = [
        "utf-8": .utf8, "utf8": .utf8, "us-ascii": .utf8, "ascii": .utf8,
        "iso-8859-1": .latin1, "iso8859-1": .latin1, "latin1": .latin1, "latin-1": .latin1,
        "windows-1252": .other(.windowsCP1252), "cp1252": .other(.windowsCP1252),
        "utf-16": .other(.utf16), "utf-16le": .other(.utf16LittleEndian),
        "utf-16be": .other(.utf16BigEndian),
    ]

    /// The character set of a name; `nil` if it is not known.
    init?(name: String) {
        guard name.utf8.count <= 40, let known = Self.names[name.lowercased()] else { return nil }
        self = known
    }

    /// The text of some bytes; `nil` if they are not in the character set.
    func text(_ bytes: some Collection<UInt8>) -> String? {
        switch self {
        case .utf8: String(validating: bytes, as: UTF8.self)
        case .latin1:
            String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        case .other(let encoding): String(bytes: Array(bytes), encoding: encoding)
        }
    }
}
