// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The proxies whose headers about the client's request are believed.
public struct TrustedProxies: Sendable, Equatable {
    /// A range of addresses.
    private struct Network: Equatable {
        /// 4 or 16 bytes.
        let bytes: [UInt8]
        /// Leading bits that an address has in common with it.
        let length: Int

        func contains(_ address: [UInt8]) -> Bool {
            guard address.count == bytes.count else { return false }
            let (whole, rest) = (length / 8, length % 8)
            guard bytes[..<whole] == address[..<whole] else { return false }
            return rest == 0 || (bytes[whole] ^ address[whole]) >> (8 - rest) == 0
        }
    }

    private static let groups = [
        "loopback": ["127.0.0.0/8", "::1"],
        // RFC 1918, RFC 4193, and addresses of a link.
        "private": [
            "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7",
            "fe80::/10",
        ],
        "none": [],
    ]

    private var networks: [Network] = []

    /// This machine and its private networks.
    public static let standard = TrustedProxies(["loopback", "private"]) ?? TrustedProxies()

    private init() {}

    /// Reads a list of addresses, networks such as `10.1.0.0/16`, `loopback`, `private` and `none`.
    ///
    /// - Returns: `nil` if one of them is nothing of these.
    public init?(_ texts: [String]) {
        for text in texts {
            guard let group = Self.groups[text.lowercased()] else {
                guard let network = Self.network(text) else { return nil }
                networks.append(network)
                continue
            }
            networks += group.compactMap(Self.network)
        }
    }

    /// Whether the headers of a peer with this address are believed.
    func contain(_ address: String?) -> Bool {
        guard let address, let bytes = Self.bytes(address) else { return false }
        return networks.contains { $0.contains(bytes) }
    }

    private static func network(_ text: String) -> Network? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let address = bytes(parts[0]) else { return nil }
        guard parts.count == 2 else {
            return Network(bytes: address, length: 8 * address.count)
        }
        guard let length = Int(parts[1]), (0...(8 * address.count)).contains(length) else {
            return nil
        }
        return Network(bytes: address, length: length)
    }

    /// The bytes of an address, of an IPv4 address within IPv6 those of IPv4.
    private static func bytes(_ text: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: four) { Array($0) } }
        // A zone, as in fe80::1%eth0, is of this machine alone.
        let address = String(text.prefix { $0 != "%" })
        var six = in6_addr()
        guard inet_pton(AF_INET6, address, &six) == 1 else { return nil }
        let bytes = withUnsafeBytes(of: six) { Array($0) }
        let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
        return bytes.starts(with: mapped) ? Array(bytes[12...]) : bytes
    }
}
