// Part of Inkstone. Licence: see LICENSE.

import Basics

/// The header of a part of a form.
///
/// - Source: RFC 5322 section 2.2 for the lines, RFC 7578 section 4 for the fields.
struct PartHeader {
    /// Values by lower-case name; of equal names the first.
    private var fields: [String: String] = [:]

    /// Reads the lines; one that begins with white space continues the one before it.
    init(_ lines: [ArraySlice<UInt8>]) {
        var unfolded: [[UInt8]] = []
        for line in lines {
            if let first = line.first, HeaderParameters.isBlank(first), !unfolded.isEmpty {
                unfolded[unfolded.count - 1] += line
            } else {
                unfolded.append(Array(line))
            }
        }
        for line in unfolded {
            guard let colon = line.prefix(64).firstIndex(of: UInt8(ascii: ":")) else { continue }
            let name = String(decoding: line[..<colon], as: UTF8.self).trimming(" \t").lowercased()
            guard fields[name] == nil else { continue }
            fields[name] = String(decoding: line[(colon + 1)...], as: UTF8.self)
        }
    }

    /// The value of a field by its lower-case name, with its parameters.
    subscript(name: String) -> HeaderParameters? { fields[name].map { HeaderParameters($0) } }

    /// Undoes the encoding of a part's content, which RFC 7578 deprecates and programs that write e-mail use.
    ///
    /// - Throws: `APIError` 400 for an unknown encoding, and for content that is not in it.
    func decoded(_ content: ArraySlice<UInt8>, of name: String) throws(APIError) -> ArraySlice<
        UInt8
    > {
        guard let encoding = self["content-transfer-encoding"]?.value else { return content }
        let decoded: [UInt8]?
        switch encoding {
        case "", "7bit", "8bit", "binary": return content
        case "base64": decoded = content.withUnsafeBufferPointer { Base64.decode($0) }
        case "quoted-printable": decoded = Self.quotedPrintable(content)
        default:
            throw MultipartForm.invalid(
                "The Content-Transfer-Encoding of '\(name)' must be binary, base64 or quoted-printable, got"
                    + " '\(encoding.prefix(40))'.")
        }
        guard let decoded else {
            throw MultipartForm.invalid(
                "The content of '\(name)' is not in \(encoding), as its Content-Transfer-Encoding says; send"
                    + " the bytes themselves and leave the header out.")
        }
        return decoded[...]
    }

    /// - Source: RFC 2045 section 6.7.
    private static func quotedPrintable(_ content: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var index = content.startIndex
        while index < content.endIndex {
            guard content[index] == UInt8(ascii: "=") else {
                bytes.append(content[index])
                index += 1
                continue
            }
            // A line break that only the encoding has, with blanks that transports add.
            let end = content[(index + 1)...].firstIndex { !HeaderParameters.isBlank($0) }
            if let end, content[end] == 13, end + 1 < content.endIndex, content[end + 1] == 10 {
                index = end + 2
                continue
            }
            guard index + 2 < content.endIndex,
                let byte = UInt8(
                    String(decoding: content[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(byte)
            index += 3
        }
        return bytes
    }
}
