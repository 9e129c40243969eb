// Part of Inkstone. Licence: see LICENSE.

/// The numbers of one visit of a level, each with interval and sample size.
package struct LevelFigures: Codable, Sendable, Equatable {
    /// The stretch that was counted: the hold without what the steady-state search cut.
    package var window: TimeRange
    /// Share of the hold that was cut from its begin, 0 to 1.
    package var cutShare: Double
    /// Why there was no steady state; absent where there was one.
    package var unsteady: String?
    /// Slope of the throughput, share of the mean a minute.
    package var throughputDrift: Double?
    /// The same of E2E.
    package var endToEndDrift: Double?

    /// Valid images completed in the window, a second.
    package var throughput: Estimate
    /// Requests sent in the window, a second.
    package var issueRate: Double
    /// Valid images that met every objective, a second; absent without objectives.
    package var goodput: Estimate?

    /// Of valid requests *started* in the window; those that ended in the drain are among them.
    package var endToEnd: LatencyFigures
    /// From the planned time on.
    package var endToEndPlanned: LatencyFigures
    /// To the first preview; of requests that had one.
    package var firstPreview: LatencyFigures
    /// Between one preview and the next.
    package var previewInterval: LatencyFigures
    /// To the answer's head.
    package var answerHead: LatencyFigures
    /// To the first byte of the body.
    package var firstByte: LatencyFigures
    /// From handing over to the head on the wire.
    package var clientQueue: LatencyFigures
    /// From the planned time to handing over.
    package var scheduleLag: LatencyFigures
    /// Mean E2E in ms of the valid requests *completed* in the window, which Little's law is about.
    package var endToEndCompleted: Estimate
    /// E2E of each size class, where there is more than one.
    package var bySize: [String: LatencyFigures]

    /// Failed among the requests started in the window.
    package var errorRate: Estimate
    /// These by class.
    package var errors: [String: Int]
    /// The smallest step by which the level's shares can move: 1 / n.
    package var resolution: Double?

    /// Time-average of the open requests.
    package var inFlight: Double
    package var inFlightMax: Int
    /// (X R - N) / N with N the time-average in flight, over all requests completed in the window.
    package var littleResidual: Double?
    /// Mean bytes of an answer.
    package var answerBytes: Double?
    /// Share of the devices' peak that the images need; absent where either is not known.
    package var peakShare: Double?

    // Camel case: `RecordCoding` makes snake case of it, both ways.
    // The files have `snake_case` names, see `RecordCoding`.
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
package struct LatencyFigures: Codable, Sendable, Equatable {
    package var n: Int
    package var mean: Estimate
    package var p50: Estimate
    package var p90: Estimate
    package var p95: Estimate
    package var p99: Estimate
    package var p999: Estimate
    /// Always told, however few there are.
    package var min: Double?
    package var max: Double?

    /// Computes them from times in ms, in completion order.
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
