// Part of Inkstone. Licence: see LICENSE.

/// The value of a header with parameters, such as `form-data; name="image"; filename="a.png"`.
///
/// - Source: RFC 9110 section 5.6.6; RFC 8187 for extended values (`filename*`); RFC 2231 for values in pieces
///   (`filename*0`, `filename*1*`), which programs that write e-mail make of long ones.
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

    /// The value of a parameter: of an extended value (`name*`) that can be read, the plain one, one in pieces, or as a
    /// last resort the extended value as it is.
    subscript(name: String) -> String? {
        let extended = parameters[name + "*"]
        return extended.flatMap(Self.decodedExtended) ?? parameters[name] ?? joined(name)
            ?? extended
    }

    /// Pieces of a value that are put together; there are fewer in a header of the largest size.
    private static let maximumPieces = 1000

    /// The value of a parameter in pieces, of which those that end with `*` are extended.
    private func joined(_ name: String) -> String? {
        var (bytes, charset): ([UInt8], FormCharset) = ([], .utf8)
        for index in 0..<Self.maximumPieces {
            if let plain = parameters["\(name)*\(index)"] {
                bytes += plain.utf8
            } else if let extended = parameters["\(name)*\(index)*"] {
                var piece = Array(extended.utf8)[...]
                if index == 0, let (found, rest) = Self.divided(extended) {
                    (charset, piece) = (found, rest)
                }
                bytes += Self.percentDecoded(piece) ?? Array(piece)
            } else {
                break
            }
        }
        guard !bytes.isEmpty || parameters["\(name)*0"] != nil else { return nil }
        return charset.text(bytes) ?? String(decoding: bytes, as: UTF8.self)
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

    /// The text of an extended value such as `UTF-8''na%C3%AFve.png`; `nil` for unknown character sets.
    private static func decodedExtended(_ value: String) -> String? {
        guard let (charset, rest) = divided(value) else { return nil }
        return percentDecoded(rest).flatMap { charset.text($0) }
    }

    /// The character set of an extended value, and what is behind it and the language.
    private static func divided(_ value: String) -> (FormCharset, ArraySlice<UInt8>)? {
        let parts = Array(value.utf8).split(
            separator: UInt8(ascii: "'"), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3,
            let charset = FormCharset(name: String(decoding: parts[0], as: UTF8.self))
        else { return nil }
        return (charset, parts[2])
    }

    /// The bytes of a text whose bytes may be written as `%C3`; `nil` for broken ones.
    private static func percentDecoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2,
                digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    private static func string(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes, as: UTF8.self).trimming(" \t")
    }

    /// Whether a byte is a blank or a tab.
    static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }
}
