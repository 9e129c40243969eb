// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

/// Bodies and headers of requests as inputs.
package enum RequestInput {
    /// Bytes of a key that clients may always send.
    private static let keyBytes = 256

    /// Reads a document as a client's and strictly; what is strictly right must be right for a client.
    package static func readJSON(_ bytes: [UInt8]) {
        let strict = try? JSONValue(bytes, options: .init(depthLimit: JSONValue.maximumDepth))
        let lenient = try? JSONValue(client: bytes)
        if let strict, longestKey(strict) <= keyBytes {
            precondition(lenient != nil, "a valid document is refused")
        }
        if let fields = try? RequestFields(json: bytes) {
            _ = try? fields.integer("seed")
            _ = try? fields.number("guidance_scale")
            _ = try? fields.string("prompt")
            _ = try? fields.texts("loras")
        }
        _ = lenient?.summary
    }

    private static func longestKey(_ value: JSONValue) -> Int {
        switch value {
        case .array(let values): values.map(longestKey).max() ?? 0
        case .object(let fields):
            fields.map { max($0.key.utf8.count, longestKey($0.value)) }.max() ?? 0
        default: 0
        }
    }

    /// Divides a form: the first line is its content type, the rest its body.
    package static func readForm(_ bytes: [UInt8]) {
        let line = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        let type = String(decoding: bytes[..<line], as: UTF8.self)
        guard let boundary = MultipartForm.boundary(of: type),
            let form = try? MultipartForm(Array(bytes.dropFirst(line + 1)), boundary: boundary)
        else { return }
        precondition(form.parts.count <= MultipartForm.maximumParts, "number of parts")
        if let fields = try? form.fields { _ = try? RequestFields(form: fields) }
        _ = form.files("image", "image[]")
    }

    /// Reads a header with parameters.
    package static func readHeader(_ bytes: [UInt8]) {
        let header = HeaderParameters(String(decoding: bytes, as: UTF8.self))
        _ = header["name"]
        _ = header["filename"]
        _ = header["boundary"]
    }
}
