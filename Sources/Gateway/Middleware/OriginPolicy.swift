// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import ModelFiles
import Service

/// The hosts and web pages that may use the service.
///
/// A browser that reaches the service runs pages of any origin. Two attacks of theirs are prevented here: DNS
/// rebinding, a foreign name that resolves to an address of the service (recognised by the `Host` header), and
/// cross-site requests (recognised by `Origin` and `Sec-Fetch-Site`).
///
/// A page that has rebound its name has no key: the host is checked where no key is required, and where hosts
/// are named. Addresses cannot be rebound, and the names of the machine are not an attacker's.
struct OriginPolicy: Sendable {
    /// The permission of an origin.
    enum Verdict: Equatable {
        /// Our own page, or not a browser.
        case own
        /// A page of an origin that is named in the configuration.
        case named
        /// A page of another program of this machine, such as a chat front end on another port: it may use the
        /// API, and not the page's own interface.
        case neighbour
        /// Any other page.
        case foreign
    }

    /// Whether only this machine reaches the service.
    private let isLoopback: Bool
    private let namesHosts: Bool
    private let allowsAnyHost: Bool
    private let hosts: Set<String>
    private let origins: Set<String>

    init(_ configuration: GatewayConfiguration) {
        isLoopback = HostName(configuration.host)?.isLoopback ?? false
        namesHosts = !configuration.allowedHosts.isEmpty
        allowsAnyHost = configuration.allowedHosts.contains("*")
        let names =
            [configuration.host] + HostName.ofThisMachine + configuration.allowedHosts
            + [configuration.publicAddress?.authority].compactMap(\.self)
        hosts = Set(names.compactMap { HostName($0)?.name })
        origins = Set(configuration.allowedOrigins.map { $0.lowercased() })
    }

    /// Whether a request for this `Host` is answered.
    func allows(host: String?, requiresKey: Bool) -> Bool {
        guard let host, !host.isEmpty, !allowsAnyHost, !requiresKey || namesHosts else {
            return true
        }
        guard let named = HostName(host) else { return false }
        return named.isLoopback || named.isAddress || hosts.contains(named.name)
    }

    /// The permission of the origin of a request that came to an address of the service.
    func verdict(for request: Request, to address: ServiceAddress) -> Verdict {
        guard let origin = request.headers[.origin]?.lowercased() else { return .own }
        if request.headers[.secFetchSite] == "same-origin" { return .own }
        if origins.contains(origin) || origins.contains("*") { return .named }
        guard let named = HostName(origin: origin) else { return .foreign }
        let own = [request.head.authority, address.authority].compactMap(\.self)
        if own.contains(where: { HostName($0) == named }) { return .own }
        return isLoopback && named.isLoopback ? .neighbour : .foreign
    }
}

/// Applies `OriginPolicy` and answers preflight requests.
///
/// It is outside the error middleware: pages that may use the API may read its errors, too.
struct OriginMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let state: ServiceState
    /// The keys, or `nil` for a service that has none.
    let keys: KeyStore?

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let policy = state.originPolicy
        let found = state.addressPolicy.finding(
            of: request, from: context.channel.remoteAddress?.ipAddress)
        var context = context
        context.address = found.address
        // Every name that the request went through: a page that has rebound one of them states the others as it likes.
        let requiresKey = keys?.isRequired == true
        for host in [request.head.authority ?? ""] + found.statedHosts
        where !policy.allows(host: host, requiresKey: requiresKey) {
            return refusal(
                "host_not_allowed",
                "This service does not answer to the name \(JSONValue.string(host).summary); use its address"
                    + " or localhost, or have its operator allow the name with --allowed-host.",
                context)
        }
        var verdict = policy.verdict(for: request, to: found.address)
        if verdict == .neighbour, Self.isPageInterface(request.uri.path) { verdict = .foreign }
        let isSafe = [.get, .head].contains(request.method)
        guard verdict != .foreign || isSafe else {
            return refusal(
                "origin_not_allowed",
                "Pages of \(JSONValue.string(request.headers[.origin] ?? "").summary) may not use this"
                    + " service; have its operator allow the origin with --allowed-origin.", context
            )
        }
        // A preflight request has no key.
        let isPreflight = request.method == .options && request.headers[.origin] != nil
        var response =
            isPreflight ? Response(status: .noContent) : try await next(request, context)
        response.headers.append(HTTPField(name: .vary, value: "Origin"))
        if verdict == .named || verdict == .neighbour, let origin = request.headers[.origin] {
            response.headers[.accessControlAllowOrigin] = origin
            response.headers[.accessControlExposeHeaders] = "x-request-id, retry-after, traceparent"
            if isPreflight {
                response.headers[.accessControlAllowMethods] = "GET, HEAD, POST, DELETE, OPTIONS"
                response.headers[.accessControlAllowHeaders] =
                    request.headers[.accessControlRequestHeaders] ?? "authorization, content-type"
                response.headers[.accessControlMaxAge] = "600"
            }
        }
        return response
    }

    /// Whether a path belongs to the page's own interface; the router ignores empty components.
    private static func isPageInterface(_ path: String) -> Bool {
        path.split(separator: "/", maxSplits: 1).first == "api"
    }

    private func refusal(_ code: String, _ message: String, _ context: GatewayContext) -> Response {
        context.record?.setCode(code)
        return APIError(.forbidden, type: "permission_error", code: code, message).response()
    }
}
