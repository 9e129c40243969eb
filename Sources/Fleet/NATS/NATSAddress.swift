// Part of Inkstone. Licence: see LICENSE.

/// Servers and credentials of NATS, in the form that other clients use.
package struct NATSAddress: Sendable, Equatable {
    /// Addresses that begin with `nats://` or `tls://`, with user and password where there are any.
    package var servers: [String]
    /// A `.creds` file with a JWT and its seed.
    package var credentials: String?
    /// PEM file of the authorities that may sign the server's certificate.
    package var authorities: String?
    /// PEM file of this program's own certificate.
    package var certificate: String?
    /// PEM file of its key.
    package var key: String?

    /// - Parameter text: one address, or several with commas between them.
    /// - Throws: `NATSAddressError` for an invalid address.
    package init(_ text: String) throws(NATSAddressError) {
        servers = text.split(separator: ",").map { $0.trimmingSpaces }
        guard !servers.isEmpty else { throw NATSAddressError(text) }
        for server in servers {
            let parts = server.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, ["nats:", "tls:"].contains(parts[0]), parts[1].isEmpty,
                !parts[2].isEmpty, !parts[2].contains(" ")
            else { throw NATSAddressError(server) }
        }
    }

    /// Whether the connection must be encrypted.
    package var isEncrypted: Bool {
        authorities != nil || certificate != nil || servers.contains { $0.hasPrefix("tls:") }
    }

    /// The addresses without passwords, for the log.
    package var shown: String {
        servers.map { server in
            guard let at = server.lastIndex(of: "@"), let slash = server.firstRange(of: "//") else {
                return server
            }
            return String(server[..<slash.upperBound] + server[server.index(after: at)...])
        }.joined(separator: ",")
    }
}

/// An invalid address of a NATS server.
package struct NATSAddressError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    init(_ text: String) {
        description =
            "--queue must be the address of a NATS server such as nats://localhost:4222 or"
            + " tls://nats.example.org, or several with commas between them, got '\(text)'."
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
