// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The value of a header with parameters, such as `form-data; name="image"; filename="a.png"`.
///
/// - Source: RFC 9110 section 5.6.6; RFC 8187 for extended values (`filename*`).
struct HeaderParameters {
    /// What comes before the first parameter, in lower case.
    let value: String
    /// By lower-case name; of equal names the first.
    private var parameters: [String: String] = [:]

    /// Reads a value; what is malformed is left out.
    init(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        var position = bytes.firstIndex(of: UInt8(ascii: ";")) ?? bytes.count
        value = Self.string(bytes[..<position]).lowercased()
        while position < bytes.count {
            position += 1
            let nameEnd =
                bytes[position...].firstIndex { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ";") }
                ?? bytes.count
            let name = Self.string(bytes[position..<min(nameEnd, position + 64)]).lowercased()
            position = nameEnd
            guard position < bytes.count, bytes[position] == UInt8(ascii: "=") else { continue }
            position += 1
            let found = Self.parameterValue(bytes, &position)
            if parameters[name] == nil { parameters[name] = found }
        }
    }

    /// The value of a parameter; an extended value (`name*`) takes precedence.
    subscript(name: String) -> String? {
        parameters[name + "*"].flatMap(Self.decodedExtended) ?? parameters[name]
    }

    /// Reads a token or a quoted string, and skips to the next semicolon.
    private static func parameterValue(_ bytes: [UInt8], _ position: inout Int) -> String {
        while position < bytes.count, isBlank(bytes[position]) { position += 1 }
        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
            let end = bytes[position...].firstIndex(of: UInt8(ascii: ";")) ?? bytes.count
            defer { position = end }
            return String(decoding: bytes[position..<end].prefix { !isBlank($0) }, as: UTF8.self)
        }
        position += 1
        var content: [UInt8] = []
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            // Browsers do not escape the backslashes of Windows paths, so that only these two are escapes.
            if bytes[position] == UInt8(ascii: "\\"), position + 1 < bytes.count,
                [UInt8(ascii: "\""), UInt8(ascii: "\\")].contains(bytes[position + 1])
            {
                position += 1
            }
            content.append(bytes[position])
            position += 1
        }
        position = bytes[position...].firstIndex(of: UInt8(ascii: ";")) ?? bytes.count
        return String(decoding: content, as: UTF8.self)
    }

    /// The text of an extended value such as `UTF-8''na%C3%AFve.png`; `nil` for other character sets.
    private static func decodedExtended(_ value: String) -> String? {
        let parts = value.utf8.split(
            separator: UInt8(ascii: "'"), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].count == 5,
            String(Substring(parts[0])).lowercased() == "utf-8"
        else { return nil }
        return String(Substring(parts[2])).removingPercentEncoding
    }

    private static func string(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes, as: UTF8.self).trimming(" \t")
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }
}
