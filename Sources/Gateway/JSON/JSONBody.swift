// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import ModelFiles

/// Reads the JSON objects of clients, and describes what is wrong with those that cannot be read.
enum JSONBody {
    private static let example = "a JSON object such as {\"prompt\": \"a red apple\"}"

    /// Reads an object.
    ///
    /// - Parameters:
    ///   - document: the whole document.
    ///   - name: what errors call it: the body itself, or the field whose text it is.
    /// - Returns: the members.
    /// - Throws: `APIError` 400 that says where and why the document cannot be read.
    static func object(
        _ document: [UInt8], name: String = "The body"
    ) throws(APIError) -> [String: JSONValue] {
        guard !document.isEmpty else {
            throw invalid("\(name) is empty; send \(example).")
        }
        let value: JSONValue
        do {
            value = try JSONValue(client: document)
        } catch {
            throw invalid(otherFormat(document, name) ?? refusal(error, of: document, name))
        }
        guard case .object(let fields) = value else {
            throw invalid("\(name) must be a JSON object, got \(value.summary).")
        }
        return fields
    }

    private static func invalid(_ message: String) -> APIError {
        APIError(.badRequest, code: "invalid_json", message)
    }

    // MARK: - Errors in JSON

    private static func refusal(
        _ error: JSONSyntaxError, of document: [UInt8], _ name: String
    ) -> String {
        let place = place(of: error.offset, in: document)
        switch error.kind {
        case .syntax:
            let remedy =
                error.offset < document.count && document[error.offset] == UInt8(ascii: "'")
                ? " JSON has its texts in double quotes; Windows' command line needs them escaped, as \\\"."
                : ""
            return "\(name) is not valid JSON: \(error.reason), at \(place).\(remedy)"
        case .nesting:
            return
                "\(name) must nest at most \(JSONValue.maximumDepth) levels of JSON, found more at \(place)."
        case .valueCount:
            return
                "\(name) must hold at most \(JSONValue.maximumValues) values of JSON, found more."
        case .keyLength:
            return
                "The keys of \(name.lowercased()) must have at most \(JSONValue.maximumKeyBytes) bytes,"
                + " found a longer one at \(place)."
        }
    }

    /// The line and the column of a byte, counted from 1, columns in characters as editors count them.
    private static func place(of offset: Int, in document: [UInt8]) -> String {
        // The reader does not count a byte order mark.
        let mark = JSONValue.byteOrderMark
        let start = document.starts(with: mark) ? mark.count : 0
        let before = document[start..<min(document.count, start + offset)]
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? start
        // Continuation bytes are none.
        let column = before[lineStart...].count { $0 & 0xC0 != 0x80 } + 1
        return "line \(line), column \(column)"
    }

    // MARK: - Other formats

    /// The message for a document that is something else than JSON, of which only its beginning is looked at.
    private static func otherFormat(_ document: [UInt8], _ name: String) -> String? {
        if let format = compression(document) {
            return "\(name) is compressed with \(format); send it uncompressed."
        }
        let head = document.prefix(4)
        if head.starts(with: [0xFF, 0xFE]) || head.starts(with: [0xFE, 0xFF])
            || (head.count == 4 && head.contains(0))
        {
            return "\(name) is in UTF-16 or UTF-32; send JSON in UTF-8."
        }
        let text = String(decoding: document.prefix(200), as: UTF8.self).trimming(" \t\r\n")
        if text.utf8.starts(with: "--".utf8), text.contains("Content-Disposition") {
            return
                "\(name) is a form with parts (multipart/form-data), and this path takes JSON: send"
                + " \(example), or a form with an image to /v1/images/edits."
        }
        if isFormEncoded(text) {
            return
                "\(name) is form-encoded (name=value&…), and this path takes JSON: send \(example) with"
                + " Content-Type: application/json."
        }
        if text.utf8.first == UInt8(ascii: "<") { return "\(name) must be JSON, got XML or HTML." }
        return nil
    }

    /// Whether a text begins like `prompt=a+cat&steps=8`.
    private static func isFormEncoded(_ text: String) -> Bool {
        guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")),
            equals != text.startIndex
        else { return false }
        return text[..<equals].utf8.allSatisfy { byte in
            let letter = byte | 0x20
            return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || "_-.%[]+".utf8.contains(byte)
        }
    }

    /// The name of the compression that a document begins like.
    private static func compression(_ document: [UInt8]) -> String? {
        let known: [(String, [UInt8])] = [
            ("gzip", [0x1F, 0x8B]), ("zstd", [0x28, 0xB5, 0x2F, 0xFD]),
            ("zip", [0x50, 0x4B, 3, 4]),
            ("deflate", [0x78, 0x01]), ("deflate", [0x78, 0x9C]), ("deflate", [0x78, 0xDA]),
        ]
        return known.first { document.starts(with: $0.1) }?.0
    }
}
