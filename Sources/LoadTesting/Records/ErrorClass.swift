// Part of Inkstone. Licence: see LICENSE.

/// Why a request did not return a valid image.
///
/// The classes exclude each other; the first that applies is recorded.
public enum ErrorClass: String, Codable, Sendable, CaseIterable {
    /// No connection.
    case connect
    /// The connection was established but TLS failed.
    case tls
    /// No connection within the connect timeout.
    case timeoutConnect = "timeout_connect"
    /// No complete response within the request's timeout.
    case timeoutTotal = "timeout_total"
    /// Status 429.
    case rejected
    /// Another 4xx status.
    case http4xx = "http_4xx"
    /// A 5xx status.
    case http5xx = "http_5xx"
    /// The response ended before its final event or its announced length.
    case streamBroken = "stream_broken"
    /// The server reported an error inside a response of status 200.
    case eventError = "event_error"
    /// The bytes received cannot be decoded as an image.
    case decode
    /// The image has another size than requested.
    case wrongSize = "wrong_size"
    /// The image has another file format than requested.
    case wrongFormat = "wrong_format"
    /// All pixels are within 2 of the mean.
    case blank
    /// The pixels equal those of another request with other parameters.
    case duplicate
    /// The pixels equal those of the source image: the edit did nothing.
    case unchanged
    /// The run was interrupted, or the drain timed out.
    case abortedByTester = "aborted_by_tester"
}
