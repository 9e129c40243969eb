// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// Reports at intervals how late the client's thread runs a timer, until it is cancelled.
///
/// `@unchecked Sendable`: `due` is touched by the loop's thread only, once the watch is posted.
package final class LatenessWatch: @unchecked Sendable {
    private let interval: Duration
    private let report: @Sendable (Duration) -> Void
    private let isCancelled = Atomic(false)
    private(set) var due: ContinuousClock.Instant

    init(interval: Duration, _ report: @escaping @Sendable (Duration) -> Void) {
        self.interval = interval
        self.report = report
        due = .now + interval
    }

    /// Ends the reports.
    package func cancel() { isCancelled.store(true, ordering: .relaxed) }

    /// Reports if it is time; returns whether it goes on.
    func run(_ now: ContinuousClock.Instant) -> Bool {
        guard !isCancelled.load(ordering: .relaxed) else { return false }
        if due <= now {
            report(now - due)
            due = now + interval
        }
        return true
    }
}
