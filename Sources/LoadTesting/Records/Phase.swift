// Part of Inkstone. Licence: see LICENSE.

/// A phase of a level.
public enum Phase: String, Codable, Sendable, CaseIterable {
    /// Waiting until the server reports that its model is loaded.
    case ready
    /// One unmeasured request for each size, number of steps and LoRA.
    case prime
    /// The load runs and is not yet measured.
    case settle
    /// The load runs and is measured.
    case hold
    /// No new requests are sent; those in flight are completed.
    case drain
    /// The pause between two levels.
    case cooldown
}

/// A half-open range of time.
///
/// - Units: nanoseconds since the run's clock origin (`Manifest.clock`).
public struct TimeRange: Codable, Sendable, Equatable {
    /// The first moment of the range.
    public var start: Int64
    /// The first moment after the range.
    public var end: Int64

    package init(start: Int64, end: Int64) {
        self.start = start
        self.end = end
    }

    /// Length in seconds.
    public var seconds: Double { Double(end - start) / 1e9 }

    /// Whether the range contains a moment.
    public func contains(_ time: Int64) -> Bool { start <= time && time < end }
}

/// One moment on two clocks, to align records with a server's log.
public struct ClockAnchor: Codable, Sendable, Equatable {
    /// Nanoseconds since the run's clock origin.
    public var monotonic: Int64
    /// Microseconds since 1970, UTC.
    public var unixMicroseconds: Int64

    package init(monotonic: Int64, unixMicroseconds: Int64) {
        self.monotonic = monotonic
        self.unixMicroseconds = unixMicroseconds
    }
}
