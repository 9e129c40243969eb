// Part of Inkstone. Licence: see LICENSE.

/// One request: a line of `requests.jsonl`.
///
/// - Units: all times are nanoseconds since the run's clock origin, on one monotonic clock.
package struct LoadRequestRecord: Codable, Sendable, Equatable {
    /// Why it was sent.
    package enum Purpose: String, Codable, Sendable, CaseIterable {
        /// The load itself.
        case load
        /// Before the level, so that lazily built things are in place; not measured.
        case prime
        /// The parameters of an earlier request again, to see whether the pixels are the same.
        case determinism
        /// One of several with the same parameters, to see whether a cache answers.
        case cacheIdentical = "cache_identical"
        /// Its neighbour with new parameters.
        case cacheUnique = "cache_unique"
    }

    /// The `X-Request-Id` of its first call: `<run>-<level>-r<visit>-<sequence>`.
    package var id: String
    /// Its level's key, for instance `closed-008`.
    package var level: String
    /// Which visit of the level, from 1.
    package var visit: Int
    /// Its place in the level, from 0; there are no gaps but for dropped arrivals.
    package var sequence: Int
    /// The closed loop's user, from 0.
    package var user: Int?
    package var purpose: Purpose
    /// The phase in which it was sent: `prime`, `settle` or `hold`.
    package var phase: Phase
    package var dialect: Dialect
    package var parameters: RequestParameters
    /// The id of the request whose parameters it repeats on purpose.
    package var repeats: String?

    package var times: RequestTimes
    /// The HTTP calls that it took, in order.
    ///
    /// All dialects but `jobs` take one; of failed requests those are listed that were begun.
    package var calls: [WireCall]

    /// Absent for a valid image.
    package var error: ErrorClass?
    /// What the server or the client library said about the failure.
    package var errorDetail: String?
    /// The body as it came: all calls, previews and base64 included.
    package var bodyBytes: Int
    package var image: ImageFacts?
    package var server: ServerTimings?

    /// Whether it gave a valid image.
    package var isValid: Bool { error == nil }
    /// From sending to the end, the figure that is compared with the access log; absent when it
    /// has no end.
    package var endToEnd: Int64? { times.end.map { $0 - times.send } }
    /// The same in milliseconds.
    package var endToEndMs: Double? { endToEnd.map { Double($0) / 1e6 } }
    /// From sending to the first preview, in milliseconds; absent without a preview.
    package var firstPreviewMs: Double? {
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
    // `RecordCoding` turns these into the file's `snake_case` names.
    private enum CodingKeys: String, CodingKey {
        case id, level, visit, sequence, user, purpose, phase, dialect, parameters, repeats
        case times, calls, error, errorDetail, bodyBytes, server
        case image = "picture"
    }
}

/// When the parts of a request happened.
///
/// - Units: nanoseconds since the run's clock origin.
package struct RequestTimes: Codable, Sendable, Equatable {
    /// When the schedule wanted it sent: when the user became free, or the planned arrival.
    package var planned: Int64
    /// Just before it was handed to the HTTP client.
    package var send: Int64
    /// Its head was written on a connection.
    package var headOut: Int64?
    /// The answer's head came.
    package var headIn: Int64?
    /// The first byte of the body came.
    package var firstByte: Int64?
    /// Each preview complete, with the header of its image read.
    package var previews: [Int64]
    /// The final image complete, with a header that fits the request.
    package var image: Int64?
    /// The last byte, or the clean end of the stream, or the failure.
    package var end: Int64?

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

/// One HTTP exchange of a request; joins with a line of the access log by its id.
package struct WireCall: Codable, Sendable, Equatable {
    /// The `X-Request-Id` that was sent.
    ///
    /// The first call's is the request's own; later ones have `-events` or `-image` behind it.
    package var id: String
    /// The id that came back, absent when none did.
    package var echoedId: String?
    package var method: String
    /// Without the query.
    package var path: String
    package var status: Int?
    /// Bytes of the answer's body.
    package var bodyBytes: Int
    /// Nanoseconds since the run's clock origin.
    package var send: Int64
    /// The same; absent when it did not end.
    package var end: Int64?

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

/// What was seen of a final image.
package struct ImageFacts: Codable, Sendable, Equatable {
    /// `png`, `jpeg` or `webp`, by its first bytes.
    package var format: String
    package var width: Int
    package var height: Int
    /// Size of the file in bytes.
    package var fileBytes: Int
    /// SHA-256 of the decoded RGB bytes, in hexadecimal; absent when not decoded.
    package var pixelDigest: String?
    /// 64-bit difference hash of the luma, 16 hexadecimal digits: near-duplicates differ in few
    /// bits.
    package var differenceHash: String?
    /// Path below the result folder where the file was kept, if it was.
    package var file: String?

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

/// What the server said about its own times.
///
/// - Units: seconds; absent where the dialect has no such field.
package struct ServerTimings: Codable, Sendable, Equatable {
    /// Until work began.
    package var queue: Double?
    /// Encoding of the prompt.
    package var text: Double?
    /// Of each step.
    package var steps: [Double]?
    /// Decoding of the latents.
    package var decode: Double?
    /// Work on this image.
    package var run: Double?
    /// From arrival to answer.
    package var total: Double?

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
