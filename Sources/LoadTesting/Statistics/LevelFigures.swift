// Part of Inkstone. Licence: see LICENSE.

/// A figure with its 95 % interval.
package struct Estimate: Codable, Sendable, Equatable {
    /// Absent when there are too few samples; then `reason` says so.
    package var value: Double?
    package var low: Double?
    package var high: Double?
    /// Samples.
    package var n: Int
    package var reason: String?

    package init(
        value: Double? = nil, low: Double? = nil, high: Double? = nil, n: Int,
        reason: String? = nil
    ) {
        self.value = value
        self.low = low
        self.high = high
        self.n = n
        self.reason = reason
    }
}

/// What is computed from the records of a level.
package struct LevelFigures: Codable, Sendable, Equatable {
    /// The steady window.
    package var window: TimeRange
    /// Valid pictures completed in the window, a second.
    package var throughput: Estimate

    package init(window: TimeRange, throughput: Estimate) {
        self.window = window
        self.throughput = throughput
    }
}
