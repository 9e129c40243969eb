// Part of Inkstone. Licence: see LICENSE.

/// The figures of one visit of a level, each with interval and sample size.
public struct LevelFigures: Codable, Sendable, Equatable {
    /// The time range that was counted: the hold without the part that the steady-state search cut.
    public var window: TimeRange
    /// Share of the hold that was cut from its start, 0 to 1.
    public var cutShare: Double
    /// Why there was no steady state; absent if there was one.
    public var unsteady: String?
    /// Slope of the throughput, share of the mean a minute.
    public var throughputDrift: Double?
    /// Slope of E2E, share of the mean a minute.
    public var endToEndDrift: Double?

    /// Valid images completed in the window, a second.
    public var throughput: Estimate
    /// Requests sent in the window, a second.
    public var issueRate: Double
    /// Valid images that met every objective, a second; absent without objectives.
    public var goodput: Estimate?

    /// Of valid requests *started* in the window, including those that ended in the drain.
    public var endToEnd: LatencyFigures
    /// End to end from the planned time.
    public var endToEndPlanned: LatencyFigures
    /// To the first preview, of requests that had one.
    public var firstPreview: LatencyFigures
    /// Between one preview and the next.
    public var previewInterval: LatencyFigures
    /// To the response head.
    public var answerHead: LatencyFigures
    /// To the first byte of the body.
    public var firstByte: LatencyFigures
    /// From passing the request to the HTTP client to writing its head to a connection.
    public var clientQueue: LatencyFigures
    /// From the planned time to passing the request to the HTTP client.
    public var scheduleLag: LatencyFigures
    /// Mean E2E in ms of the valid requests *completed* in the window, which Little's law is about.
    public var endToEndCompleted: Estimate
    /// E2E of each size class, where there is more than one.
    public var bySize: [String: LatencyFigures]

    /// Share of failed requests among those started in the window.
    public var errorRate: Estimate
    /// Number of failed requests by error class.
    public var errors: [String: Int]
    /// The smallest step by which a share of the level's requests can change: 1 / n.
    public var resolution: Double?

    /// Time average of the open requests.
    public var inFlight: Double
    /// Maximum number of open requests.
    public var inFlightMax: Int
    /// (X R - N) / N with N the time average in flight, over all requests completed in the window.
    public var littleResidual: Double?
    /// Mean bytes of a response.
    public var answerBytes: Double?
    /// Share of the devices' peak operations that the images need; absent when either is unknown.
    public var peakShare: Double?

    // Camel case here; `RecordCoding` converts to and from the file's `snake_case` names.
    private enum CodingKeys: String, CodingKey {
        case window, unsteady, throughput, goodput, errors, resolution
        case cutShare = "cutShare"
        case throughputDrift = "throughputDriftPerMinute"
        case endToEndDrift = "e2eDriftPerMinute"
        case issueRate = "issueRate"
        case endToEnd = "e2eMs"
        case endToEndPlanned = "e2ePlannedMs"
        case firstPreview = "ttfpMs"
        case previewInterval = "previewIntervalMs"
        case answerHead = "ttfbMs"
        case firstByte = "firstBodyByteMs"
        case clientQueue = "clientQueueMs"
        case scheduleLag = "scheduleLagMs"
        case endToEndCompleted = "e2eCompletedMs"
        case bySize = "e2eBySizeMs"
        case errorRate = "errorRate"
        case inFlight = "inFlight"
        case inFlightMax = "inFlightMax"
        case littleResidual = "littleResidual"
        case answerBytes = "answerBytes"
        case peakShare = "mfu"
    }
}

/// The distribution of a time.
///
/// - Units: milliseconds.
public struct LatencyFigures: Codable, Sendable, Equatable {
    /// Number of samples.
    public var n: Int
    /// Arithmetic mean.
    public var mean: Estimate
    /// Median.
    public var p50: Estimate
    /// 90th percentile.
    public var p90: Estimate
    /// 95th percentile.
    public var p95: Estimate
    /// 99th percentile.
    public var p99: Estimate
    /// 99.9th percentile.
    public var p999: Estimate
    /// Minimum; given for every sample size.
    public var min: Double?
    /// Maximum; given for every sample size.
    public var max: Double?

    /// Computes the figures of times in ms, in order of completion.
    package init(_ values: [Double]) {
        n = values.count
        mean = SampleStatistics.meanEstimate(values)
        p50 = Percentile.estimate(0.5, of: values)
        p90 = Percentile.estimate(0.9, of: values)
        p95 = Percentile.estimate(0.95, of: values)
        p99 = Percentile.estimate(0.99, of: values)
        p999 = Percentile.estimate(0.999, of: values)
        min = values.min()
        max = values.max()
    }
}
