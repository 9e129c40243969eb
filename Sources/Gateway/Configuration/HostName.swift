// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The name and port in a `Host` header, an origin or a bind address.
struct HostName: Equatable {
    /// Lower case, without brackets and without a trailing dot.
    let name: String
    /// The port, where one was given.
    let port: Int?

    /// This machine, for a request that names no host.
    static let loopback = HostName(name: "127.0.0.1", port: nil)

    private init(name: String, port: Int?) { (self.name, self.port) = (name, port) }

    /// Reads `name`, `name:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
    init?(_ text: some StringProtocol) {
        var name = Substring(text)
        var port: Substring?
        if name.first == "[" {
            guard let end = name.firstIndex(of: "]") else { return nil }
            let rest = name[name.index(after: end)...]
            guard rest.isEmpty || rest.first == ":" else { return nil }
            port = rest.isEmpty ? nil : rest.dropFirst()
            name = name[name.index(after: name.startIndex)..<end]
        } else if let colon = name.firstIndex(of: ":"), colon == name.lastIndex(of: ":") {
            port = name[name.index(after: colon)...]
            name = name[..<colon]
        }
        if name.last == "." { name = name.dropLast() }
        guard !name.isEmpty, !name.contains(where: { " /@\\?#".contains($0) }) else { return nil }
        if let port {
            guard let number = Int(port), (0...65535).contains(number) else { return nil }
            self.port = number
        } else {
            self.port = nil
        }
        self.name = name.lowercased()
    }

    /// Reads the host and port of an origin such as `http://localhost:3000`.
    init?(origin: String) {
        guard let mark = origin.firstRange(of: "://") else { return nil }
        self.init(origin[mark.upperBound...])
    }

    /// Whether this is an address and not a name; the address that stands for all of a machine's is none.
    var isAddress: Bool {
        if name.utf8.contains(UInt8(ascii: ":")) {
            return name != "::"
                && name.utf8.allSatisfy {
                    (0x30...0x3A).contains($0) || (0x61...0x66).contains($0)
                        || $0 == UInt8(ascii: ".")
                }
        }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil } && name != "0.0.0.0"
    }

    /// The names of this machine: its own, without its domain, and in the local network.
    static let ofThisMachine: [String] = {
        var characters = [CChar](repeating: 0, count: 256)
        let isKnown = gethostname(&characters, characters.count - 1) == 0
        // CChar is signed on some platforms and unsigned on others.
        let bytes = characters.prefix { $0 != 0 }.map { UInt8(truncatingIfNeeded: $0) }
        let name = String(decoding: bytes, as: UTF8.self).lowercased()
        guard isKnown, let short = name.split(separator: ".").first.map(String.init) else {
            return []
        }
        return [name, short, short + ".local"]
    }()

    /// Whether this names the machine itself.
    var isLoopback: Bool {
        if name == "localhost" || name.hasSuffix(".localhost") || name == "::1" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil } && parts[0] == "127"
    }
}
