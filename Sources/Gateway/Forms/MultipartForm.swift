// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes

/// A body of `multipart/form-data`, divided into its parts.
///
/// The time is linear in the length of the body, and every input is either a form or an error.
///
/// - Source: RFC 7578, RFC 2046 section 5.1.
package struct MultipartForm {
    /// One field or file.
    package struct Part {
        /// The field's name.
        package var name: String
        /// The file's name, if the part is a file.
        package var fileName: String?
        /// The content.
        package var bytes: ArraySlice<UInt8>
        /// The character set that its header states.
        var charset: String?
    }

    /// Parts of one body; a body with more is refused.
    package static let maximumParts = 200
    /// Bytes of the header of one part; a larger one is refused.
    package static let maximumHeaderBytes = 16 << 10
    /// Bytes of the name of one part; a longer one is refused.
    package static let maximumNameBytes = 256
    /// Bytes of a part that is neither a file nor an image as text; a larger one is refused.
    package static let maximumTextBytes = 1 << 20

    /// The parts that have a name, in the order of the body.
    package let parts: [Part]

    /// The boundary of a content type, or `nil` for another type.
    package static func boundary(of contentType: String) -> String? {
        let type = HeaderParameters(contentType)
        guard type.value == "multipart/form-data", let boundary = type["boundary"] else {
            return nil
        }
        return (1...70).contains(boundary.utf8.count) ? boundary : nil
    }

    /// Divides a body.
    ///
    /// Text before the first delimiter and after the last one is ignored.
    ///
    /// - Throws: `APIError` 400 when the body is not a complete form with this boundary, or is above the
    ///   limits.
    package init(_ body: [UInt8], boundary: String) throws {
        let scanner = MultipartScanner(body: body, boundary: boundary)
        guard var delimiter = scanner.firstDelimiter else { throw Self.incomplete }
        var parts: [Part] = []
        var count = 0
        while !delimiter.isLast {
            count += 1
            guard count <= Self.maximumParts else {
                throw Self.invalid("A form must have at most \(Self.maximumParts) parts.")
            }
            let start = delimiter.end
            guard let header = scanner.header(from: start, limit: Self.maximumHeaderBytes) else {
                guard body.count - start <= Self.maximumHeaderBytes else {
                    throw Self.invalid(
                        "The header of each part of a form must have at most"
                            + " \(Self.maximumHeaderBytes) bytes and end with an empty line.")
                }
                throw Self.incomplete
            }
            guard let next = scanner.delimiter(from: header.end - 2) else { throw Self.incomplete }
            let content = body[min(header.end, next.start)..<next.start]
            if let part = try Self.part(header.lines, content) {
                try Self.check(part)
                parts.append(part)
            }
            delimiter = next
        }
        self.parts = parts
    }

    private static func check(_ part: Part) throws {
        guard part.name.utf8.count <= maximumNameBytes else {
            throw invalid("The name of each part must have at most \(maximumNameBytes) bytes.")
        }
        guard
            part.fileName != nil || part.bytes.count <= maximumTextBytes
                || Self.imageNames.contains(part.baseName)
        else {
            throw invalid(
                "A part of a form that is not a file must have at most \(maximumTextBytes) bytes,"
                    + " got \(part.bytes.count) in '\(part.name)'.")
        }
    }

    private static let incomplete = invalid(
        "The body must be a complete multipart/form-data form with the boundary of its"
            + " Content-Type, whose lines end with CR LF.")

    /// The error for a form that cannot be read.
    static func invalid(_ message: String) -> APIError {
        APIError(.badRequest, code: "invalid_form", message)
    }

    /// The files under the first of some names that has any.
    package func files(_ names: String...) -> [ArraySlice<UInt8>] {
        for name in names {
            let found = parts.filter { $0.name == name && $0.fileName != nil }.map(\.bytes)
            if !found.isEmpty { return found }
        }
        return []
    }

    /// The fields that are not files; of equal names the last.
    ///
    /// A text is in the character set of its part, of the field `_charset_`, or UTF-8.
    ///
    /// - Throws: `APIError` 400 that names a field in another character set.
    package var fields: [String: String] {
        get throws { try texts() }
    }

    /// `fields`, with the type of its error.
    func texts() throws(APIError) -> [String: String] {
        let standard = parts.first { $0.name == "_charset_" && $0.fileName == nil }
            .map { String(decoding: $0.bytes.prefix(64), as: UTF8.self).trimming(" \t\r\n") }
        var fields: [String: String] = [:]
        for part in parts where part.fileName == nil {
            fields[part.name] = try part.text(standard)
        }
        return fields
    }

    /// A part with the name in its header; `nil` without one.
    private static func part(
        _ lines: [ArraySlice<UInt8>], _ bytes: ArraySlice<UInt8>
    ) throws(APIError) -> Part? {
        let header = PartHeader(lines)
        guard let disposition = header["content-disposition"],
            let name = disposition["name"].map(unescaped)
        else { return nil }
        let type = header["content-type"]
        guard type?.value.hasPrefix("multipart/") != true else {
            throw invalid(
                "'\(name.prefix(maximumNameBytes))' is a form within the form; send each of its files as a part"
                    + " of its own with the same name.")
        }
        return Part(
            name: name, fileName: disposition["filename"].map(unescaped),
            bytes: try header.decoded(bytes, of: String(name.prefix(maximumNameBytes))),
            charset: type?["charset"])
    }

    /// A name with its quotes and line breaks, which browsers write as %22, %0D and %0A.
    private static func unescaped(_ name: String) -> String {
        guard name.utf8.count <= 4 * maximumNameBytes, name.utf8.contains(UInt8(ascii: "%")) else {
            return name
        }
        return name.replacing("%22", with: "\"").replacing("%0D", with: "\r")
            .replacing("%0A", with: "\n")
    }
}

/// Finds delimiters and headers in a body.
private struct MultipartScanner {
    /// A line `--boundary` or `--boundary--`.
    struct Delimiter {
        /// Index of the line break before it, which belongs to it.
        var start: Int
        /// Index behind its line.
        var end: Int
        /// Whether the form ends here.
        var isLast: Bool
    }

    private static let (cr, lf, dash) = (UInt8(13), UInt8(10), UInt8(ascii: "-"))

    private let body: [UInt8]
    private let mark: [UInt8]

    init(body: [UInt8], boundary: String) {
        self.body = body
        mark = Array("--\(boundary)".utf8)
    }

    /// The delimiter before the first part.
    var firstDelimiter: Delimiter? {
        delimiterLine(at: 0, start: 0) ?? delimiter(from: 0)
    }

    /// The first delimiter that begins at an index or later.
    ///
    /// Text that begins like a delimiter and goes on otherwise, as in a nested form whose boundary is longer,
    /// is content.
    func delimiter(from index: Int) -> Delimiter? {
        var index = index
        while let lineBreak = self.lineBreak(from: index) {
            if let found = delimiterLine(at: lineBreak + 2, start: lineBreak) { return found }
            index = lineBreak + 2
        }
        return nil
    }

    /// The header that begins at an index: its lines, and the index behind the empty line.
    ///
    /// - Returns: `nil` if it is longer than `limit` bytes or the part ends before.
    func header(from index: Int, limit: Int) -> (lines: [ArraySlice<UInt8>], end: Int)? {
        guard delimiterLine(at: index, start: index) == nil else { return nil }
        var lines: [ArraySlice<UInt8>] = []
        var line = index
        while let end = lineBreak(from: line), end - index <= limit {
            if end == line { return (lines, end + 2) }
            lines.append(body[line..<end])
            line = end + 2
            guard delimiterLine(at: line, start: end) == nil else { return nil }
        }
        return nil
    }

    /// The index of the first CR LF at an index or later.
    private func lineBreak(from index: Int) -> Int? {
        body.withUnsafeBufferPointer { body in
            var index = index
            while index + 1 < body.count {
                if body[index] == Self.cr, body[index + 1] == Self.lf { return index }
                index += 1
            }
            return nil
        }
    }

    /// Whether the dashes and the boundary are at an index, from which on there are enough bytes.
    private func isMark(at index: Int) -> Bool {
        body.withUnsafeBufferPointer { body in
            for (offset, byte) in mark.enumerated() where body[index + offset] != byte {
                return false
            }
            return true
        }
    }

    /// The delimiter whose dashes are at an index.
    private func delimiterLine(at index: Int, start: Int) -> Delimiter? {
        var end = index + mark.count
        guard end + 2 <= body.count, isMark(at: index) else { return nil }
        if body[end] == Self.dash, body[end + 1] == Self.dash {
            return Delimiter(start: start, end: end + 2, isLast: true)
        }
        while end < body.count, body[end] == UInt8(ascii: " ") || body[end] == UInt8(ascii: "\t") {
            end += 1
        }
        guard end + 2 <= body.count, body[end] == Self.cr, body[end + 1] == Self.lf else {
            return nil
        }
        return Delimiter(start: start, end: end + 2, isLast: false)
    }
}
