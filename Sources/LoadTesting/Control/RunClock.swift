// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The monotonic clock of a run.
package struct RunClock: Sendable {
    private let origin = ContinuousClock.now

    package init() {}

    /// Nanoseconds since the origin.
    package var now: Int64 {
        let (seconds, attoseconds) = (ContinuousClock.now - origin).components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    /// The current moment on this clock and in UTC.
    package var anchor: ClockAnchor {
        ClockAnchor(
            monotonic: now, unixMicroseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
    }
}
