// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// How long a picture takes lately: the base of every `Retry-After`.
final class Pace: Sendable {
    private let seconds = Mutex(2.0)

    /// Notes that a picture took this many seconds.
    func record(_ value: Double) {
        seconds.withLock { $0 += 0.3 * (value - $0) }
    }

    /// Whole seconds after which a place in the queue has probably become free; clients obey up
    /// to 60.
    var patience: Int {
        seconds.withLock { Int(min(60, max(1, $0.rounded(.up)))) }
    }
}
