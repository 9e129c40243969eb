// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird

/// The hosts and web pages that may use the service.
///
/// A browser on this machine runs pages of any origin. Two attacks of theirs are prevented here: DNS
/// rebinding, a foreign name that resolves to the loopback address (recognised by the `Host` header), and
/// cross-site requests (recognised by `Origin` and `Sec-Fetch-Site`). Programs send neither and are
/// not restricted.
struct OriginPolicy: Sendable {
    /// The permission of an origin.
    enum Verdict: Equatable {
        /// Our own page, or not a browser.
        case own
        /// Another page that may use the API and read its answers.
        case welcome
        /// Any other page.
        case foreign
    }

    private let checksHost: Bool
    private let hosts: Set<String>
    private let origins: Set<String>

    init(_ configuration: GatewayConfiguration) {
        let bound = HostName(configuration.host)
        checksHost = bound?.isLoopback ?? false
        hosts = Set(
            ([configuration.host] + configuration.allowedHosts).compactMap {
                HostName($0)?.name
            })
        origins = Set(configuration.allowedOrigins.map { $0.lowercased() })
    }

    /// Whether a request for this `Host` is answered.
    func allows(host: String?) -> Bool {
        guard checksHost, let host, !host.isEmpty else { return true }
        guard let named = HostName(host) else { return false }
        return named.isLoopback || hosts.contains(named.name)
    }

    /// The permission of a request's origin.
    func verdict(for request: Request) -> Verdict {
        guard let origin = request.headers[.origin]?.lowercased() else { return .own }
        if request.headers[.secFetchSite] == "same-origin" { return .own }
        if origins.contains(origin) || origins.contains("*") { return .welcome }
        guard let named = HostName(origin: origin) else { return .foreign }
        if let own = request.head.authority.flatMap({ HostName($0) }), own == named { return .own }
        // Other programs of the same machine, such as a chat front end on another port.
        return checksHost && named.isLoopback ? .welcome : .foreign
    }
}

/// Applies `OriginPolicy` and answers preflight requests.
///
/// It is outside the error middleware: pages that may use the API may read its errors, too.
struct OriginMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let state: ServiceState

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let policy = state.originPolicy
        guard policy.allows(host: request.head.authority) else {
            return refusal(
                "host_not_allowed",
                "This service answers to loopback names only, not to"
                    + " '\(request.head.authority ?? "")'; use http://127.0.0.1, or list the name"
                    + " among the allowed hosts.", context)
        }
        var verdict = policy.verdict(for: request)
        // The page's own interface is not for other pages.
        if verdict == .welcome, request.uri.path.hasPrefix("/api/") { verdict = .foreign }
        let isSafe = [.get, .head].contains(request.method)
        guard verdict != .foreign || isSafe else {
            return refusal(
                "origin_not_allowed",
                "Pages of '\(request.headers[.origin] ?? "")' may not use this service; list the"
                    + " origin among the allowed origins.", context)
        }
        var response =
            request.method == .options
            ? Response(status: .noContent) : try await next(request, context)
        response.headers.append(HTTPField(name: .vary, value: "Origin"))
        if verdict == .welcome, let origin = request.headers[.origin] {
            response.headers[.accessControlAllowOrigin] = origin
            response.headers[.accessControlExposeHeaders] = "x-request-id, retry-after, traceparent"
            if request.method == .options {
                response.headers[.accessControlAllowMethods] = "GET, HEAD, POST, OPTIONS"
                response.headers[.accessControlAllowHeaders] =
                    request.headers[.accessControlRequestHeaders] ?? "authorization, content-type"
                response.headers[.accessControlMaxAge] = "600"
            }
        }
        return response
    }

    private func refusal(_ code: String, _ message: String, _ context: GatewayContext) -> Response {
        context.record?.setCode(code)
        return APIError(.forbidden, type: "permission_error", code: code, message).response()
    }
}
