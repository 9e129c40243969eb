// Part of Inkstone. Licence: see LICENSE.

/// A deliberate fault of the mock server, which a check of the audit must detect.
public enum MockFault: String, Sendable, CaseIterable {
    /// Responds to a known prompt immediately, with the pixels of its first image.
    case cache
    /// Ignores the seed: equal prompts return equal pixels.
    case duplicate
    /// Returns other pixels each time.
    case random
    /// Responds to known parameters in half the time, without declaring a cache.
    case silentCache = "silent-cache"
    /// Every tenth image is 16 pixels wider.
    case wrongSize = "wrong-size"
    /// Every tenth image is a WebP file.
    case wrongFormat = "wrong-format"
    /// Every tenth image is grey.
    case blank
    /// Every tenth response contains text instead of an image.
    case noImage = "no-picture"
    /// Every tenth response is truncated.
    case truncated
    /// Every tenth stream reports an error.
    case eventError = "event-error"
    /// Every tenth response has status 500.
    case internalError = "internal-error"
    /// Every tenth response has status 429.
    case rejected
    /// Every tenth line of the log is missing.
    case lostLine = "lost-line"
    /// The log counts 7 bytes less.
    case wrongBytes = "wrong-bytes"
    /// The durations in the log are a tenth too short.
    case earlyClock = "early-clock"
    /// The clock of the log is stepped by 50 ms after 20 lines.
    case clockStep = "clock-step"
    /// The counter of images counts every seventh image twice.
    case counter
    /// The sum of durations is 5 % too high.
    case durationSum = "duration-sum"
    /// Counts one step less than requested.
    case fewerSteps = "fewer-steps"
    /// Reports twice the busy time of its devices.
    case busy
    /// Sends the first preview before the first step has ended.
    case timedPreview = "timed-preview"
    /// Serves a request three times as slowly when it is alone.
    case lazyAlone = "lazy-alone"
    /// Reports a model of 6 billion parameters.
    case hugeModel = "huge-model"
    /// Never responds to every tenth request.
    case stall
    /// Responds with 401 to requests without a key.
    case needsKey = "needs-key"
    /// Responds with 404 to requests for a model other than `mock`.
    case otherModel = "other-model"
    /// Responds to images with 500 from the third request on.
    case breaks
    /// Ignores `stream` and returns the image as one document.
    case noStream = "no-stream"
    /// Returns half the width and height.
    case halfSize = "half-size"
    /// Responds to images with text.
    case textOnly = "text-only"
    /// Every tenth edit returns its source image.
    case unchanged
}

/// The behaviour of the mock server.
public struct MockSettings: Sendable {
    /// Port on 127.0.0.1; 0 lets the system choose.
    public var port = 0
    /// Number of identical devices.
    public var devices = 1
    /// Seconds of an image on an idle device.
    public var serviceTime = 0.1
    /// Maximum number of images in a batch.
    public var batch = 1
    /// A batch of b takes `serviceTime * (1 + batchCost * (b - 1))`.
    public var batchCost = 0.25
    /// Maximum number of waiting requests; further ones get 429.
    public var queueLimit = 10_000
    /// The deliberate faults.
    public var faults: Set<MockFault> = []
    /// Whether the metrics declare a prompt cache.
    public var declaresCache = false
    /// Path of the access log; `nil` for none.
    public var accessLog: String?
    /// The only dialect that the server speaks, in its documented form: other paths are unknown and other fields
    /// are errors; `nil` for all dialects.
    public var dialect: Dialect?

    /// Creates the default settings.
    public init() {}

    /// Maximum throughput in images a second.
    public var capacity: Double {
        Double(devices * batch) / (serviceTime * (1 + batchCost * Double(batch - 1)))
    }
}
