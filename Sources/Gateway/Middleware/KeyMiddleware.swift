// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import Hummingbird
import Service

/// Requires a key if the service has keys.
///
/// No key is needed for the page's own files, which contain no secrets, and for the routes of supervisors.
struct KeyMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    /// The keys, or `nil` for a service that has none.
    let keys: KeyStore?

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard let keys, !Self.needsNoKey(request) else { return try await next(request, context) }
        var context = context
        switch keys.admission(of: Self.key(of: request)) {
        case .open: break
        case .key(let key): context.key = key
        case .missing: throw APIError.keyMissing(request)
        case .unknown: throw APIError.keyUnknown(request)
        case .unavailable: throw APIError.keysUnreadable
        }
        return try await next(request, context)
    }

    private static func needsNoKey(_ request: Request) -> Bool {
        let path = request.uri.path
        guard [.get, .head, .options].contains(request.method) else { return false }
        return path == "/" || path.hasPrefix("/assets/")
            || [
                "/livez", "/readyz", "/health", "/version", "/metrics", "/v1/cluster/auth",
                "/api/openapi.json",
            ].contains(path)
    }

    /// The key of a request: a bearer token, `X-API-Key`, or the password of HTTP's basic scheme, which
    /// clients of A1111 use.
    ///
    /// An empty header counts as none.
    private static func key(of request: Request) -> String? {
        if let key = request.headers[.xAPIKey], !key.isEmpty { return key }
        guard let header = request.headers[.authorization] else { return nil }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let value = parts[1].trimming(" ")
        switch parts[0].lowercased() {
        case "bearer": return value.isEmpty ? nil : value
        case "basic":
            guard let data = Data(base64Encoded: value),
                let colon = data.firstIndex(of: UInt8(ascii: ":"))
            else { return nil }
            let password = String(decoding: data[(colon + 1)...], as: UTF8.self)
            return password.isEmpty ? nil : password
        default: return nil
        }
    }
}

extension APIError {
    /// The request has no key.
    static func keyMissing(_ request: Request) -> APIError {
        unauthorized(
            request, "missing_api_key",
            "This service requires a key: send 'Authorization: Bearer KEY'. 'inkstone keys add'"
                + " makes one.")
    }

    /// The key is unknown, or was revoked.
    static func keyUnknown(_ request: Request) -> APIError {
        unauthorized(
            request, "invalid_api_key",
            "The key is not known here, or was revoked; check it, or ask for another.")
    }

    /// The keys cannot be read; the reason is in the log.
    static let keysUnreadable = APIError(
        .serviceUnavailable, type: "server_error", code: "keys_unreadable",
        "The server cannot read its keys and admits no request until it can; its log has the reason.",
        retryAfter: RetryAfter.keysUnreadable)

    private static func unauthorized(
        _ request: Request, _ code: String, _ message: String
    ) -> APIError {
        var error = APIError(
            .unauthorized, type: "authentication_error", code: code, message)
        error.scheme =
            request.uri.path.hasPrefix("/sdapi/") ? "Basic realm=\"inkstone\"" : "Bearer"
        return error
    }
}
