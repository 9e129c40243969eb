// Part of Inkstone. Licence: see LICENSE.

/// The record of one request of a load test: a line of `requests.jsonl`.
///
/// - Units: all times are nanoseconds since the run's clock origin, on one monotonic clock.
public struct LoadRequestRecord: Codable, Sendable, Equatable {
    /// Why a request was sent.
    public enum Purpose: String, Codable, Sendable, CaseIterable {
        /// The load itself.
        case load
        /// Sent before the level, so that lazily created objects exist; not measured.
        case prime
        /// Repeats the parameters of an earlier request, to check that the pixels are the same.
        case determinism
        /// One of several with equal parameters, to check whether a cache responds.
        case cacheIdentical = "cache_identical"
        /// Sent next to a `cacheIdentical` request, with new parameters.
        case cacheUnique = "cache_unique"
    }

    /// The `X-Request-Id` of the first call: `<run>-<level>-r<visit>-<sequence>`.
    public var id: String
    /// The level's key, for instance `closed-008`.
    public var level: String
    /// Number of the visit, from 1.
    public var visit: Int
    /// Position in the level, from 0; the only gaps are dropped arrivals.
    public var sequence: Int
    /// The user of a closed loop, from 0.
    public var user: Int?
    /// Why the request was sent.
    public var purpose: Purpose
    /// The phase in which it was sent: `prime`, `settle` or `hold`.
    public var phase: Phase
    /// The interface that was used.
    public var dialect: Dialect
    /// What was requested.
    public var parameters: RequestParameters
    /// The id of the request whose parameters this one repeats on purpose.
    public var repeats: String?

    /// When the parts of the request happened.
    public var times: RequestTimes
    /// The HTTP calls of the request, in order.
    ///
    /// All dialects but `jobs` make one; a failed request lists the calls that were started.
    public var calls: [WireCall]

    /// Absent for a valid image.
    public var error: ErrorClass?
    /// What the server or the client library reported about the failure.
    public var errorDetail: String?
    /// Bytes of the bodies received: all calls, previews and base64 included.
    public var bodyBytes: Int
    /// The final image.
    public var image: ImageFacts?
    /// The server's own timings.
    public var server: ServerTimings?

    /// Whether the request returned a valid image.
    public var isValid: Bool { error == nil }
    /// Nanoseconds from sending to the end, the figure that is compared with the access log;
    /// absent for a request without an end.
    public var endToEnd: Int64? { times.end.map { $0 - times.send } }
    /// The same in milliseconds.
    public var endToEndMs: Double? { endToEnd.map { Double($0) / 1e6 } }
    /// Milliseconds from sending to the first preview; absent without a preview.
    public var firstPreviewMs: Double? {
        times.previews.first.map { Double($0 - times.send) / 1e6 }
    }

    package init(
        id: String, level: String, visit: Int, sequence: Int, user: Int? = nil,
        purpose: Purpose = .load, phase: Phase, dialect: Dialect, parameters: RequestParameters,
        repeats: String? = nil, times: RequestTimes, calls: [WireCall] = [],
        error: ErrorClass? = nil, errorDetail: String? = nil, bodyBytes: Int = 0,
        image: ImageFacts? = nil, server: ServerTimings? = nil
    ) {
        self.id = id
        self.level = level
        self.visit = visit
        self.sequence = sequence
        self.user = user
        self.purpose = purpose
        self.phase = phase
        self.dialect = dialect
        self.parameters = parameters
        self.repeats = repeats
        self.times = times
        self.calls = calls
        self.error = error
        self.errorDetail = errorDetail
        self.bodyBytes = bodyBytes
        self.image = image
        self.server = server
    }
}

extension LoadRequestRecord {
    // Camel case here; `RecordCoding` converts to and from the file's `snake_case` names.
    private enum CodingKeys: String, CodingKey {
        case id, level, visit, sequence, user, purpose, phase, dialect, parameters, repeats
        case times, calls, error, errorDetail, bodyBytes, server
        case image = "picture"
    }
}

/// When the parts of a request happened.
///
/// - Units: nanoseconds since the run's clock origin.
public struct RequestTimes: Codable, Sendable, Equatable {
    /// When the schedule wanted it sent: when the user became free, or the planned arrival.
    public var planned: Int64
    /// Just before it was passed to the HTTP client.
    public var send: Int64
    /// The request head was written to a connection.
    public var headOut: Int64?
    /// The response head was received.
    public var headIn: Int64?
    /// The first byte of the body was received.
    public var firstByte: Int64?
    /// Each preview was complete and its image header parsed.
    public var previews: [Int64]
    /// The final image was complete, with a header of the requested size.
    public var image: Int64?
    /// The last byte, or the clean end of the stream, or the failure.
    public var end: Int64?

    package init(
        planned: Int64, send: Int64, headOut: Int64? = nil, headIn: Int64? = nil,
        firstByte: Int64? = nil, previews: [Int64] = [], image: Int64? = nil, end: Int64? = nil
    ) {
        self.planned = planned
        self.send = send
        self.headOut = headOut
        self.headIn = headIn
        self.firstByte = firstByte
        self.previews = previews
        self.image = image
        self.end = end
    }
}

/// One HTTP exchange of a request; joined with a line of the access log by its id.
public struct WireCall: Codable, Sendable, Equatable {
    /// The `X-Request-Id` that was sent.
    ///
    /// That of the first call is the request's own; later ones add `-events` or `-image`.
    public var id: String
    /// The id in the response, absent when there was none.
    public var echoedId: String?
    /// HTTP method.
    public var method: String
    /// Path without the query.
    public var path: String
    /// HTTP status; absent when no response head was received.
    public var status: Int?
    /// Bytes of the response body.
    public var bodyBytes: Int
    /// Nanoseconds since the run's clock origin.
    public var send: Int64
    /// The same; absent when the exchange did not end.
    public var end: Int64?

    package init(
        id: String, echoedId: String? = nil, method: String, path: String, status: Int? = nil,
        bodyBytes: Int = 0, send: Int64, end: Int64? = nil
    ) {
        self.id = id
        self.echoedId = echoedId
        self.method = method
        self.path = path
        self.status = status
        self.bodyBytes = bodyBytes
        self.send = send
        self.end = end
    }
}

/// The facts recorded about a final image.
public struct ImageFacts: Codable, Sendable, Equatable {
    /// `png`, `jpeg` or `webp`, by the first bytes.
    public var format: String
    /// Pixels.
    public var width: Int
    /// Pixels.
    public var height: Int
    /// Size of the file in bytes.
    public var fileBytes: Int
    /// SHA-256 of the decoded RGB bytes, hexadecimal; absent when not decoded.
    public var pixelDigest: String?
    /// 64-bit difference hash of the luma, 16 hexadecimal digits: near-duplicates differ in few
    /// bits.
    public var differenceHash: String?
    /// Path of the saved file relative to the result folder; absent when it was not saved.
    public var file: String?

    package init(
        format: String, width: Int, height: Int, fileBytes: Int, pixelDigest: String? = nil,
        differenceHash: String? = nil, file: String? = nil
    ) {
        self.format = format
        self.width = width
        self.height = height
        self.fileBytes = fileBytes
        self.pixelDigest = pixelDigest
        self.differenceHash = differenceHash
        self.file = file
    }
}

/// The timings that a server reported for a request.
///
/// - Units: seconds; absent where the dialect has no such field.
public struct ServerTimings: Codable, Sendable, Equatable {
    /// Time in the queue.
    public var queue: Double?
    /// Encoding of the prompt.
    public var text: Double?
    /// Each step.
    public var steps: [Double]?
    /// Decoding of the latents.
    public var decode: Double?
    /// Work on this image.
    public var run: Double?
    /// From arrival to response.
    public var total: Double?

    package init(
        queue: Double? = nil, text: Double? = nil, steps: [Double]? = nil, decode: Double? = nil,
        run: Double? = nil, total: Double? = nil
    ) {
        self.queue = queue
        self.text = text
        self.steps = steps
        self.decode = decode
        self.run = run
        self.total = total
    }
}
