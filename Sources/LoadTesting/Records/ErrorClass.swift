// Part of Inkstone. Licence: see LICENSE.

/// Why a request did not give a valid image; exclusive, the first that applies.
package enum ErrorClass: String, Codable, Sendable, CaseIterable {
    /// No connection.
    case connect
    /// The connection was made but TLS failed.
    case tls
    /// No connection within the time for it.
    case timeoutConnect = "timeout_connect"
    /// No complete answer within the request's time.
    case timeoutTotal = "timeout_total"
    /// Status 429.
    case rejected
    /// Another 4xx status.
    case http4xx = "http_4xx"
    /// A 5xx status.
    case http5xx = "http_5xx"
    /// The answer ended before its final event or its announced length.
    case streamBroken = "stream_broken"
    /// The server told of an error inside an answer of status 200.
    case eventError = "event_error"
    /// What came is not an image that can be decoded.
    case decode
    /// An image of another size than asked for.
    case wrongSize = "wrong_size"
    /// An image in another file format than asked for.
    case wrongFormat = "wrong_format"
    /// All pixels are within 2 of the mean.
    case blank
    /// The same pixels as another request with other parameters.
    case duplicate
    /// The run was interrupted, or the drain took too long.
    case abortedByTester = "aborted_by_tester"
}
