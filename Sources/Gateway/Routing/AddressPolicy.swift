// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird

/// Decides under which address a client reached the service.
///
/// It is that of the configuration, or else what the proxy before the service states in `Forwarded` or `X-Forwarded-*`,
/// or else that of the request itself. Of a list, which every further proxy appends to, the first entry counts, that
/// of the proxy nearest to the client.
///
/// - Source: RFC 7239. `X-Forwarded-Host`, `-Port`, `-Proto` and `-Prefix` are conventions of proxies.
struct AddressPolicy: Sendable {
    /// An address and the hosts that it was derived from.
    struct Finding: Equatable {
        var address: ServiceAddress
        /// All hosts that proxies state.
        var statedHosts: [String] = []
    }

    private let publicAddress: ServiceAddress?
    private let proxies: TrustedProxies
    private let port: Int

    init(_ configuration: GatewayConfiguration) {
        publicAddress = configuration.publicAddress
        proxies = configuration.trustedProxies
        port = configuration.port
    }

    /// The address of a request that came from a peer.
    func finding(of request: Request, from peer: String?) -> Finding {
        finding(host: request.head.authority, headers: request.headers, from: peer)
    }

    /// The address of a request with these headers.
    func finding(host: String?, headers: HTTPFields, from peer: String?) -> Finding {
        let stated = proxies.contain(peer) ? Stated(headers) : Stated()
        let own = host.flatMap { HostName($0) }
        let named = stated.hosts.first.flatMap { HostName($0) }
        let address =
            publicAddress
            ?? ServiceAddress(
                scheme: stated.scheme ?? "http", host: named ?? own ?? .loopback,
                port: stated.port ?? (named ?? own).map(\.port) ?? port,
                prefix: stated.prefix, isStated: stated != Stated())
        return Finding(address: address, statedHosts: stated.hosts)
    }
}

/// What proxies state about a request.
private struct Stated: Equatable {
    var scheme: String?
    var hosts: [String] = []
    var port: Int?
    var prefix = ""

    init() {}

    init(_ headers: HTTPFields) {
        let elements = Self.list(headers, .forwarded).map { HeaderParameters(";" + $0) }
        hosts = elements.compactMap { $0["host"] }
        scheme = elements.lazy.compactMap { $0["proto"] }.first.flatMap(Self.scheme)
        if hosts.isEmpty {
            hosts = Self.list(headers, .xForwardedHost)
            port = Self.list(headers, .xForwardedPort).first.flatMap(Int.init).flatMap {
                (1...65535).contains($0) ? $0 : nil
            }
        }
        scheme = scheme ?? Self.list(headers, .xForwardedProto).first.flatMap(Self.scheme)
        // Each proxy that serves below a path adds its own behind those before.
        let prefixes = Self.list(headers, .xForwardedPrefix).map { ServiceAddress.prefix($0) }
        prefix = prefixes.contains(nil) ? "" : prefixes.compactMap(\.self).joined()
    }

    private static func scheme(_ text: String) -> String? {
        switch text.lowercased() {
        case "https", "wss": "https"
        case "http", "ws": "http"
        default: nil
        }
    }

    /// The entries of a header, whose lines are one list, and whose quoted texts may have commas.
    private static func list(_ headers: HTTPFields, _ name: HTTPField.Name) -> [String] {
        let text = headers[values: name].joined(separator: ",")
        var (entries, isQuoted, isEscaped): ([[UInt8]], Bool, Bool) = ([[]], false, false)
        for byte in text.utf8 {
            if byte == UInt8(ascii: ","), !isQuoted {
                entries.append([])
                continue
            }
            if byte == UInt8(ascii: "\""), !isEscaped { isQuoted.toggle() }
            isEscaped = isQuoted && byte == UInt8(ascii: "\\") && !isEscaped
            entries[entries.count - 1].append(byte)
        }
        return entries.map { String(decoding: $0, as: UTF8.self).trimming(" \t") }
            .filter { !$0.isEmpty }
    }
}
