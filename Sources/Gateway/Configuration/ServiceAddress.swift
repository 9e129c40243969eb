// Part of Inkstone. Licence: see LICENSE.

/// The address under which clients reach the service; all links in its answers begin with it.
public struct ServiceAddress: Sendable, Equatable {
    /// `http` or `https`.
    let scheme: String
    /// Name or address, and the port if it is not the scheme's own.
    let authority: String
    /// The path below which a proxy serves the service: empty, or such as `/ink`.
    let prefix: String
    /// Whether the configuration or a proxy states the address, and not the request alone.
    var isStated = false

    /// The URL without a slash at its end.
    var base: String { scheme + "://" + authority + prefix }

    init(scheme: String, host: HostName, port: Int?, prefix: String, isStated: Bool) {
        self.scheme = scheme
        let standard = scheme == "https" ? 443 : 80
        let name = host.name.contains(":") ? "[\(host.name)]" : host.name
        authority = port == nil || port == standard ? name : "\(name):\(port ?? standard)"
        self.prefix = prefix
        self.isStated = isStated
    }

    /// Reads the public URL of a service, such as `https://pictures.example.org:8443/ink`.
    ///
    /// - Returns: `nil` for another scheme, for no host, and for a URL with a user, a query or a fragment.
    public init?(_ url: String) {
        guard let mark = url.firstRange(of: "://"), url.utf8.count <= 2048 else { return nil }
        let scheme = url[..<mark.lowerBound].lowercased()
        let rest = url[mark.upperBound...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        guard scheme == "http" || scheme == "https", let host = HostName(rest[..<slash]),
            let prefix = Self.prefix(rest[slash...])
        else { return nil }
        self.init(scheme: scheme, host: host, port: host.port, prefix: prefix, isStated: true)
    }

    /// A path prefix with a slash before it and none behind it; empty for none.
    ///
    /// - Returns: `nil` for one that is not a path of plain segments.
    static func prefix(_ text: some StringProtocol) -> String? {
        guard text.utf8.count <= 1024 else { return nil }
        let segments = text.split(separator: "/")
        for segment in segments {
            guard segment != ".", segment != "..", segment.utf8.allSatisfy(isPathByte) else {
                return nil
            }
        }
        return segments.map { "/" + $0 }.joined()
    }

    /// - Source: RFC 3986 section 3.3, `pchar`.
    private static func isPathByte(_ byte: UInt8) -> Bool {
        let letter = byte | 0x20
        return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || "-._~%!$&'()*+,;=:@".utf8.contains(byte)
    }
}
