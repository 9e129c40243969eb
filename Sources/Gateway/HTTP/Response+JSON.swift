// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
    /// A JSON document with stable key order.
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: jsonBytes(value)))
        )
    }

    /// A file with its media type.
    static func bytes(_ bytes: [UInt8], type: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: type],
            body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

/// One line of JSON.
///
/// Our own value types always encode; a number that JSON cannot represent becomes a string.
func jsonBytes(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    guard let data = try? encoder.encode(value) else { return Array("null".utf8) }
    return Array(data)
}

extension HTTPField.Name {
    static let idempotencyKey = Self.known("idempotency-key")
    static let xAPIKey = Self.known("x-api-key")
    static let xRequestID = Self.known("x-request-id")
    static let xShouldRetry = Self.known("x-should-retry")
    static let traceparent = Self.known("traceparent")
    static let tracestate = Self.known("tracestate")
    static let forwarded = Self.known("forwarded")
    static let xForwardedHost = Self.known("x-forwarded-host")
    static let xForwardedPort = Self.known("x-forwarded-port")
    static let xForwardedPrefix = Self.known("x-forwarded-prefix")
    static let xForwardedProto = Self.known("x-forwarded-proto")
    static let secFetchSite = Self.known("sec-fetch-site")
    static let referrerPolicy = Self.known("referrer-policy")
    static let openerPolicy = Self.known("cross-origin-opener-policy")
    static let resourcePolicy = Self.known("cross-origin-resource-policy")
    static let permissionsPolicy = Self.known("permissions-policy")
    static let mcpProtocolVersion = Self.known("mcp-protocol-version")
    static let mcpSessionID = Self.known("mcp-session-id")
    static let xAccelBuffering = Self.known("x-accel-buffering")

    /// A name from the list above, all of which are valid tokens.
    private static func known(_ name: String) -> Self {
        guard let field = Self(name) else { preconditionFailure("invalid field name \(name)") }
        return field
    }
}
