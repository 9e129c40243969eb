// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes

/// A body of `multipart/form-data`, cut into its parts.
///
/// - Source: RFC 7578, RFC 2046 section 5.1.
package struct MultipartForm {
    /// One field or file.
    struct Part {
        /// The field's name.
        var name: String
        /// The file's name, where the part is a file.
        var fileName: String?
        /// The content.
        var bytes: ArraySlice<UInt8>
    }

    /// Parts of one body; more are refused.
    static let maximumParts = 200

    /// In the order of the body.
    let parts: [Part]

    /// The boundary of a content type, or `nil` for another type.
    package static func boundary(of contentType: String) -> String? {
        let pieces = contentType.split(separator: ";").map { $0.trimming(" \t") }
        guard pieces.first?.lowercased() == "multipart/form-data" else { return nil }
        for piece in pieces.dropFirst() where piece.lowercased().hasPrefix("boundary=") {
            let value = piece.dropFirst("boundary=".count).trimming("\"")
            return (1...70).contains(value.utf8.count) ? value : nil
        }
        return nil
    }

    /// - Throws: `APIError` 400 when the body is not what its boundary says.
    package init(_ body: [UInt8], boundary: String) throws {
        let broken = APIError(
            .badRequest, code: "invalid_form",
            "The body must be a complete multipart/form-data form with the boundary of its"
                + " Content-Type.")
        let delimiter = Array("--\(boundary)".utf8)
        guard var position = Self.find(delimiter, in: body, from: 0) else { throw broken }
        position += delimiter.count
        var parts: [Part] = []
        // After a delimiter comes the end of the line, or two dashes at the end of the form.
        while true {
            guard position + 2 <= body.count else { throw broken }
            if body[position] == UInt8(ascii: "-"), body[position + 1] == UInt8(ascii: "-") {
                break
            }
            guard body[position] == 13, body[position + 1] == 10 else { throw broken }
            position += 2
            guard let headEnd = Self.find([13, 10, 13, 10], in: body, from: max(0, position - 2)),
                let end = Self.find([13, 10] + delimiter, in: body, from: headEnd + 2),
                parts.count < Self.maximumParts
            else { throw broken }
            let head = String(decoding: body[min(position, headEnd)..<headEnd], as: UTF8.self)
            if let part = Self.part(head, body[min(headEnd + 4, end)..<end]) { parts.append(part) }
            position = end + 2 + delimiter.count
        }
        self.parts = parts
    }

    /// The files of the first of some names that has any.
    package func files(_ names: String...) -> [ArraySlice<UInt8>] {
        for name in names {
            let found = parts.filter { $0.name == name && $0.fileName != nil }.map(\.bytes)
            if !found.isEmpty { return found }
        }
        return []
    }

    /// The fields that are no files; of equal names the last.
    package var fields: [String: String] {
        var fields: [String: String] = [:]
        for part in parts where part.fileName == nil {
            fields[part.name] = String(decoding: part.bytes, as: UTF8.self)
        }
        return fields
    }

    private static func part(_ head: String, _ bytes: ArraySlice<UInt8>) -> Part? {
        for line in head.split(separator: "\r\n") {
            guard let colon = line.firstIndex(of: ":"),
                line[..<colon].lowercased() == "content-disposition"
            else { continue }
            guard let name = parameter("name", in: line) else { return nil }
            return Part(name: name, fileName: parameter("filename", in: line), bytes: bytes)
        }
        return nil
    }

    /// The value of `; name="value"`; browsers escape quotes as `%22`.
    private static func parameter(_ name: String, in line: Substring) -> String? {
        guard let start = line.firstRange(of: "; \(name)=") ?? line.firstRange(of: ";\(name)=")
        else { return nil }
        let rest = line[start.upperBound...]
        guard rest.first == "\"" else {
            return String(rest.prefix { $0 != ";" && $0 != " " })
        }
        return String(rest.dropFirst().prefix { $0 != "\"" })
            .replacing("%22", with: "\"")
    }

    private static func find(_ pattern: [UInt8], in body: [UInt8], from start: Int) -> Int? {
        guard body.count >= pattern.count, start <= body.count - pattern.count else { return nil }
        var index = start
        let last = body.count - pattern.count
        while index <= last {
            if body[index] == pattern[0],
                body[index..<(index + pattern.count)].elementsEqual(pattern)
            {
                return index
            }
            index += 1
        }
        return nil
    }
}

extension StringProtocol {
    /// The text without any of some characters at its ends.
    func trimming(_ characters: String) -> String {
        let set = Set(characters)
        let start = drop { set.contains($0) }
        return String(start.reversed().drop { set.contains($0) }.reversed())
    }
}
