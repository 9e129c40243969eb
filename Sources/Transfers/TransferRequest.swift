// Part of Inkstone. Licence: see LICENSE.

/// An HTTP request, how long it may take, and whether it follows redirects.
///
/// Nothing is added to the header fields but `Host` and `Content-Length`, and nothing is decoded.
package struct TransferRequest: Sendable {
    /// The method, such as `GET`.
    package var method: String
    /// An `http` or `https` address.
    package var address: String
    /// Header fields; `Authorization` is not sent to another host after a redirect.
    package var headers = HeaderFields()
    /// The body; `nil` sends none.
    package var body: [UInt8]?
    /// Most redirects that are followed; 0 returns the redirect itself.
    package var redirectLimit = 0
    /// Whether it is sent again when a connection that was kept from an earlier request turns out to be
    /// closed; the server may then have received it twice.
    package var isRepeatable = false
    /// Longest time for name resolution, connection and TLS handshake.
    package var connectTimeout = Duration.seconds(20)
    /// Longest time without a byte in either direction, from when the request is sent; any if `nil`.
    package var silenceTimeout: Duration?
    /// Longest time of the whole transfer; any if `nil`.
    package var totalTimeout: Duration?

    /// A request with the default limits.
    package init(_ address: String, method: String = "GET") {
        self.method = method
        self.address = address
    }

    /// Why it cannot be sent; `nil` where it can.
    ///
    /// A line break or another control character would let a value add further header fields.
    var fault: String? {
        func hasControls(_ text: String) -> Bool {
            text.utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }
        }
        let name = "!#$%&'*+-.^_`|~"
        func isToken(_ text: String) -> Bool {
            !text.isEmpty
                && text.allSatisfy {
                    $0.isASCII && ($0.isLetter || $0.isNumber) || name.contains($0)
                }
        }
        if !isToken(method) { return "the method \(method.debugDescription) is not a token" }
        if hasControls(address) { return "the address contains a control character" }
        for field in headers.fields where !isToken(field.name) || hasControls(field.value) {
            return "the header field \(field.name.debugDescription) contains a forbidden character"
        }
        return nil
    }
}

/// Status and header fields of a response.
package struct TransferHead: Sendable, Equatable {
    /// The status code.
    package var status: Int
    /// The header fields.
    package var headers = HeaderFields()
}
