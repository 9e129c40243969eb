// Part of Inkstone. Licence: see LICENSE.

import CCURL

/// Why a transfer did not come to its end.
package struct TransferError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    package enum Code: Sendable, Equatable {
        /// The request is malformed.
        case request
        /// The host's name has no address.
        case unresolved
        /// The connection was refused, or the host cannot be reached.
        case connect
        /// No connection within `connectTimeout`.
        case connectTimeout
        /// The TLS handshake failed, or the certificate is not trusted.
        case tls
        /// No byte within `silenceTimeout`, or no end within `totalTimeout`.
        case timeout
        /// The connection broke before the response was complete.
        case closed
        /// The response is not HTTP.
        case response
        /// More redirects than the limit.
        case redirects
        /// The transfer was cancelled, or its client was shut down.
        case cancelled
        /// Any other failure inside libcurl.
        case other
    }

    /// Coarse reason.
    package let code: Code
    /// One sentence: what failed.
    package let description: String

    /// An error of a code.
    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// The error of a code of libcurl; `detail` is libcurl's own sentence, if it has one.
    init(_ code: CURLcode, detail: String, wasSent: Bool) {
        self.code = Self.code(code, wasSent: wasSent)
        let name = String(cString: curl_easy_strerror(code))
        let text = detail.isEmpty ? name : detail
        description = self.code == .connectTimeout ? "cannot connect in time: \(text)" : text
    }

    private static func code(_ code: CURLcode, wasSent: Bool) -> Code {
        switch code {
        case CURLE_URL_MALFORMAT: .request
        // What is not HTTP counts as HTTP/0.9, which is not supported.
        case CURLE_UNSUPPORTED_PROTOCOL: wasSent ? .response : .request
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .unresolved
        case CURLE_COULDNT_CONNECT: .connect
        case CURLE_OPERATION_TIMEDOUT: wasSent ? .timeout : .connectTimeout
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_INVALIDCERTSTATUS:
            .tls
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE: .closed
        case CURLE_WEIRD_SERVER_REPLY: .response
        case CURLE_TOO_MANY_REDIRECTS: .redirects
        default: .other
        }
    }
}
