// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles

/// The result of a tool: what the model reads, images that it sees, and the same for programs.
struct MCPResult {
    /// A file in the answer.
    struct File {
        var bytes: [UInt8]
        var type: String
    }

    var text: String
    var files: [File] = []
    var structure: JSONValue?
    /// Whether the tool has failed; the text says why, so that the model can try again.
    var isError = false

    /// A result in words.
    init(_ text: String, structure: JSONValue? = nil) {
        self.text = text
        self.structure = structure
    }

    /// A failure.
    init(_ error: APIError) {
        text = error.message
        if let wait = error.retryAfter { text += " Try again in \(wait) s." }
        isError = true
    }

    /// The result as the protocol writes it.
    var value: JSONValue {
        let images = files.map { file -> JSONValue in
            [
                "type": "image", "mimeType": .string(file.type),
                "data": .string(Data(file.bytes).base64EncodedString()),
            ]
        }
        var fields: [String: JSONValue] = [
            "content": .array([["type": "text", "text": .string(text)]] + images),
            "isError": .bool(isError),
        ]
        if let structure { fields["structuredContent"] = structure }
        return .object(fields)
    }
}
