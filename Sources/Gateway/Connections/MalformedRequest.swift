// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import NIOHTTP1

/// A request that cannot be handed to a route, and the answer to it.
struct MalformedRequest: Error, Equatable {
    /// Bytes of the request line, and of each header field.
    static let maximumFieldBytes = 16 << 10
    /// Bytes of all header fields together.
    static let maximumHeaderBytes = 64 << 10
    /// Header fields.
    static let maximumFields = 200
    /// Bytes of a header field with other characters than those of ASCII.
    static let maximumTextBytes = 256

    let answer: APIError
    /// Method and path as far as they are known.
    var method = "-"
    var path = "-"

    /// Describes an error of the parser; `start` is the beginning of the request.
    init(_ error: HTTPParserError, start: [UInt8]) {
        let method = start.prefix { $0 != UInt8(ascii: " ") }
        let isMethod =
            (1...24).contains(method.count)
            && method.allSatisfy { (0x61...0x7A).contains($0 | 0x20) || $0 == UInt8(ascii: "-") }
        switch error {
        case _ where start.starts(with: [0x16, 0x03]):
            answer = APIError(
                .badRequest, code: "tls_not_supported",
                "This port speaks HTTP and not HTTPS: use an address with http://, or a reverse proxy that"
                    + " terminates TLS.")
        case .invalidMethod where isMethod:
            self.method = String(decoding: method, as: UTF8.self)
            answer = .methodNotImplemented(self.method)
        case .headerOverflow:
            answer = APIError(
                .requestHeaderFieldsTooLarge, code: "request_header_too_large",
                "The request line and each header field must have at most"
                    + " \(Self.maximumFieldBytes) bytes, and \(Self.maximumHeaderBytes) together in"
                    + " at most \(Self.maximumFields) fields.")
        case .invalidVersion:
            answer = .versionNotSupported
        case .invalidEOFState:
            answer = Self.malformed("The request ended early.")
        default:
            answer = Self.malformed("The request is not valid HTTP/1.1: \(error).")
        }
    }

    /// Checks what the parser accepts and no route should get.
    init?(_ head: HTTPRequestHead) {
        method = head.method.rawValue
        path = head.uri
        let hosts = head.headers["host"].count
        if hosts > 1 || hosts == 0 && !head.version.isOld {
            answer = Self.malformed(
                "A request must have exactly one Host header, got \(hosts).")
        } else if !head.uri.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
            path = "-"
            answer = Self.malformed(
                "The path must consist of visible ASCII characters; encode others as %XX.")
        } else if let field = head.headers.first(where: { Self.isLongText($0.value) }) {
            answer = Self.malformed(
                "The header field \(field.name) must have at most \(Self.maximumTextBytes) bytes, or"
                    + " ASCII characters only.")
        } else {
            return nil
        }
        path = String(path.prefix { $0 != "?" && $0 != "#" })
    }

    /// Swift compares text by canonical equivalence, which takes quadratic time for a run of combining marks.
    private static func isLongText(_ value: String) -> Bool {
        value.utf8.count > maximumTextBytes && !value.utf8.allSatisfy { $0 < 0x80 }
    }

    private static func malformed(_ message: String) -> APIError {
        APIError(.badRequest, code: "malformed_request", message)
    }
}

extension APIError {
    /// A version of HTTP that is not spoken.
    static let versionNotSupported = APIError(
        .httpVersionNotSupported, code: "http_version_not_supported",
        "The version of the protocol is not supported; use HTTP/1.1, such as with curl --http1.1, or a reverse proxy"
            + " that speaks HTTP/2 with its clients.")
}

extension HTTPVersion {
    /// Whether this is a version before 1.1.
    var isOld: Bool { major == 1 && minor == 0 || major == 0 }
}
