// Part of Inkstone. Licence: see LICENSE.

/// An HTTP request to send.
struct HTTPCall: Sendable {
    /// The methods that drivers need.
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
    }

    var method = Method.post
    /// Path from the root of the server, with the query.
    var path: String
    /// Sent as `X-Request-Id`.
    var id: String
    /// The body, JSON unless `type` names another.
    var body: [UInt8]?
    /// Whether the response is read as server-sent events.
    var readsEvents = false
    /// Content type of the body.
    var type = "application/json"
}

/// The result of an HTTP request.
///
/// - Units: nanoseconds since the run's clock origin.
struct Exchange: Sendable {
    var send: Int64
    var headOut: Int64?
    var headIn: Int64?
    var firstByte: Int64?
    var end: Int64?
    var status: Int?
    var echoedID: String?
    /// The `Server` header of the response.
    var server: String?
    /// The body; empty when events were read.
    var body: [UInt8] = []
    var bodyBytes = 0
    var events: [StampedEvent] = []
    var failure: Failure?

    /// Why a request was not completed.
    struct Failure: Error, Sendable, Equatable {
        var error: ErrorClass
        var detail: String
    }

    /// The call as a part of a request record.
    func wire(_ call: HTTPCall) -> WireCall {
        WireCall(
            id: call.id, echoedId: echoedID, method: call.method.rawValue,
            path: String(call.path.prefix { $0 != "?" }), status: status, bodyBytes: bodyBytes,
            send: send, end: failure?.error == .abortedByTester ? nil : end)
    }
}

/// A server-sent event and the time at which its last byte was received.
struct StampedEvent: Sendable {
    var time: Int64
    var name: String
    var data: [UInt8]
}
