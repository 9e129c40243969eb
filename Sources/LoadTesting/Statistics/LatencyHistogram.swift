// Part of Inkstone. Licence: see LICENSE.

import Histogram

/// A histogram of times with three significant digits, from a microsecond to an hour.
///
/// For merging, plotting and storing; printed percentiles are computed from the raw samples.
public struct LatencyHistogram: Sendable, Equatable {
    private var histogram = Histogram<UInt64>(
        lowestDiscernibleValue: 1, highestTrackableValue: 3_600_000_000,
        numberOfSignificantValueDigits: .three)

    /// Creates an empty histogram.
    public init() {}

    /// Creates a histogram of times in seconds.
    public init(seconds: [Double]) {
        for value in seconds { record(seconds: value) }
    }

    /// Number of samples.
    public var count: Int { Int(histogram.totalCount) }

    /// The maximum in seconds, to the width of its bucket.
    public var maximumSeconds: Double { Double(histogram.max) / 1e6 }

    /// Records a time; one outside the range is clamped to it.
    public mutating func record(seconds: Double) {
        let micros = min(max((seconds * 1e6).rounded(), 1), 3_600_000_000)
        histogram.record(UInt64(micros.isFinite ? micros : 1))
    }

    /// Adds all samples of another histogram.
    public mutating func add(_ other: LatencyHistogram) { histogram.add(other.histogram) }

    /// The percentile `p`, from 0 to 1, in seconds.
    public func percentile(_ p: Double) -> Double {
        Double(histogram.valueAtPercentile(100 * p)) / 1e6
    }

    /// The percentile curve, denser towards the tail: (share, seconds).
    public func spectrum(ticksPerHalfDistance: Int = 5) -> [(share: Double, seconds: Double)] {
        guard count > 0 else { return [] }
        return histogram.percentiles(ticksPerHalfDistance: ticksPerHalfDistance).map {
            ($0.percentile / 100, Double($0.value) / 1e6)
        }
    }
}

extension LatencyHistogram: Codable {
    /// The buckets that are not empty: their upper value in microseconds, and their count.
    private struct Sparse: Codable {
        var unit = "us"
        var values: [UInt64] = []
        var counts: [UInt64] = []
    }

    /// Decodes sparse buckets.
    public init(from decoder: any Decoder) throws {
        self.init()
        let sparse = try Sparse(from: decoder)
        guard sparse.values.count == sparse.counts.count, sparse.unit == "us" else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "A histogram needs as many counts as values, in us."))
        }
        for (value, count) in zip(sparse.values, sparse.counts) {
            guard histogram.record(value, count: count) else {
                throw DecodingError.dataCorrupted(
                    .init(
                        codingPath: decoder.codingPath,
                        debugDescription: "A histogram ends at an hour, found \(value) us."))
            }
        }
    }

    /// Encodes sparse buckets.
    public func encode(to encoder: any Encoder) throws {
        var sparse = Sparse()
        for bucket in histogram.recordedValues() {
            sparse.values.append(bucket.value)
            sparse.counts.append(bucket.count)
        }
        try sparse.encode(to: encoder)
    }
}
