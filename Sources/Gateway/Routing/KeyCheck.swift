// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Service

/// Admits requests to routes by their keys.
struct KeyCheck: Sendable {
    /// The keys, or `nil` for a service that has none.
    let keys: KeyStore?
    /// Admits requests by permits in their addresses.
    let links: ImageLinks

    /// Admits a request to a route.
    ///
    /// The keys are not looked at for a public route, which answers whatever happens to their file.
    ///
    /// A link is opened with a key, or by the permit in its address.
    ///
    /// - Returns: The context with what the request may do.
    /// - Throws: `APIError` 401 for a request without a valid key, 403 for a key of another scope, 503 while the
    ///   keys cannot be read; for links what `ImageLinks.admission` throws.
    func admit(
        _ request: Request, to access: RouteClass, _ context: GatewayContext
    ) throws(APIError) -> GatewayContext {
        guard access != .public else { return context }
        var context = context
        let key = Self.key(of: request)
        if access == .link, key == nil, keys?.isRequired == true,
            let admission = try links.admission(of: SignedURL(request.uri))
        {
            context.admission = admission
            return context
        }
        switch keys?.admission(of: key) ?? .open {
        case .open: context.admission = .open
        case .key(let key):
            guard access != .admin || key.scope == .admin else { throw .adminRequired(key) }
            context.admission = .key(key)
        case .missing: throw .keyMissing(request)
        case .unknown: throw .keyUnknown(request)
        case .unavailable: throw .keysUnreadable
        }
        return context
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
            "This service requires a key: send 'Authorization: Bearer KEY'. Its operator makes one with"
                + " 'inkstone keys add NAME'.")
    }

    /// The key is unknown, or was revoked.
    static func keyUnknown(_ request: Request) -> APIError {
        unauthorized(
            request, "invalid_api_key",
            "The key is not known here, or was revoked; check it, or ask the operator of the service for another."
        )
    }

    /// The keys cannot be read; the reason is in the log.
    static let keysUnreadable = APIError(
        .serviceUnavailable, type: "server_error", code: "keys_unreadable",
        "The server cannot read its keys and admits no request until it can; its log has the reason.",
        retryAfter: RetryAfter.keysUnreadable)

    /// The key has not the scope of the route.
    static func adminRequired(_ key: APIKey) -> APIError {
        APIError(
            .forbidden, type: "permission_error", code: "admin_required",
            "The key '\(key.name)' may generate images only; this needs a key of the scope admin,"
                + " which the operator makes with 'inkstone keys add NAME --scope admin'.")
    }

    private static func unauthorized(
        _ request: Request, _ code: String, _ message: String
    ) -> APIError {
        var error = APIError(
            .unauthorized, type: "authentication_error", code: code, message)
        let isA1111 = ["/sdapi/", "/controlnet/"].contains { request.uri.path.hasPrefix($0) }
        error.scheme = isA1111 ? "Basic realm=\"inkstone\"" : "Bearer"
        return error
    }
}
