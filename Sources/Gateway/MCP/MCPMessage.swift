// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

/// A message of the Model Context Protocol, which is JSON-RPC 2.0.
enum MCPMessage {
    /// A call that is answered under its id, a text or a number.
    case request(id: JSONValue, method: String, parameters: [String: JSONValue])
    /// A message without an answer.
    case notification(method: String, parameters: [String: JSONValue])
    /// An answer of the client; this server asks nothing, so that it has no use for it.
    case response

    /// Reads a message.
    ///
    /// - Throws: `MCPError` for a document that is not one message.
    init(_ document: [UInt8]) throws(MCPError) {
        let value: JSONValue
        do { value = try JSONValue(client: document) } catch {
            throw MCPError(.parse, "The body must be one JSON-RPC message, and is not valid JSON.")
        }
        if case .array = value {
            throw MCPError(
                .invalidRequest,
                "The body must be one JSON-RPC message: this protocol has no batches since 2025-06-18. Send each"
                    + " message in a request of its own.")
        }
        guard case .object(let fields) = value, fields["jsonrpc"] == "2.0" else {
            throw MCPError(
                .invalidRequest,
                "The body must be an object with \"jsonrpc\": \"2.0\", got \(value.summary).")
        }
        guard case .string(let method)? = fields["method"] else {
            guard fields["method"] == nil, fields["result"] != nil || fields["error"] != nil else {
                throw MCPError(
                    .invalidRequest, "The message must have a method, a result or an error.")
            }
            self = .response
            return
        }
        var parameters: [String: JSONValue] = [:]
        if let value = fields["params"] {
            guard case .object(let object) = value else {
                throw MCPError(
                    .invalidParameters, "params must be an object, got \(value.summary).")
            }
            parameters = object
        }
        switch fields["id"] {
        case nil: self = .notification(method: method, parameters: parameters)
        case .string(let id)? where id.utf8.count <= RequestFields.maximumStringBytes:
            self = .request(id: .string(id), method: method, parameters: parameters)
        case .integer(let id)?:
            self = .request(id: .integer(id), method: method, parameters: parameters)
        case let id?:
            throw MCPError(
                .invalidRequest, "id must be a text or a whole number, got \(id.summary).")
        }
    }

    /// The id in a document that is refused, if it can be found.
    static func id(_ document: [UInt8]) -> JSONValue? {
        guard case .object(let fields)? = try? JSONValue(client: document) else { return nil }
        switch fields["id"] {
        case .string(let id)?: return .string(id)
        case .integer(let id)?: return .integer(id)
        default: return nil
        }
    }

    /// The answer to a request.
    static func answer(_ id: JSONValue, _ result: JSONValue) -> JSONValue {
        ["jsonrpc": "2.0", "id": id, "result": result]
    }

    /// The refusal of a request; without an id, that of a message that could not be read.
    static func refusal(_ id: JSONValue?, _ error: MCPError) -> JSONValue {
        var fields: [String: JSONValue] = [
            "code": .integer(error.code.rawValue), "message": .string(error.message),
        ]
        if let data = error.data { fields["data"] = data }
        return ["jsonrpc": "2.0", "id": id ?? .null, "error": .object(fields)]
    }
}

/// A refusal of the protocol; what goes wrong within a tool is a result instead, which the model reads.
struct MCPError: Error, Equatable {
    /// Codes of JSON-RPC.
    enum Code: Int64 {
        case parse = -32700
        case invalidRequest = -32600
        case unknownMethod = -32601
        case invalidParameters = -32602
        case unsupportedVersion = -32022
        case cancelled = -32800
    }

    var code: Code
    var message: String
    /// What programs read of it.
    var data: JSONValue?

    init(_ code: Code, _ message: String, data: JSONValue? = nil) {
        (self.code, self.message, self.data) = (code, message, data)
    }
}
