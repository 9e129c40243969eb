// Part of Inkstone. Licence: see LICENSE.

/// A part of a level.
package enum Phase: String, Codable, Sendable, CaseIterable {
    /// Waiting until the server says that its model is loaded.
    case ready
    /// One unmeasured request for each size, number of steps and LoRA.
    case prime
    /// The load runs, not yet measured.
    case settle
    /// The load runs and is measured.
    case hold
    /// Nothing new is sent; what is in flight ends.
    case drain
    /// Nothing happens.
    case cooldown
}

/// A stretch of time.
///
/// - Units: nanoseconds since the run's clock origin (`Manifest.clock`); half-open.
package struct TimeRange: Codable, Sendable, Equatable {
    package var start: Int64
    package var end: Int64

    package init(start: Int64, end: Int64) {
        self.start = start
        self.end = end
    }

    /// Its length in seconds.
    package var seconds: Double { Double(end - start) / 1e9 }

    /// Whether a moment lies in it.
    package func contains(_ time: Int64) -> Bool { start <= time && time < end }
}

/// One moment on two clocks, to line up records with a server's log.
package struct ClockAnchor: Codable, Sendable, Equatable {
    /// Nanoseconds since the run's clock origin.
    package var monotonic: Int64
    /// Microseconds since 1970, UTC.
    package var unixMicroseconds: Int64

    package init(monotonic: Int64, unixMicroseconds: Int64) {
        self.monotonic = monotonic
        self.unixMicroseconds = unixMicroseconds
    }
}
