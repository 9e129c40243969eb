// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// When a request was handed to the engine, started and ended, for its log line.
package final class JobReport: Sendable {
    /// The moments so far.
    package struct Moments: Sendable {
        package fileprivate(set) var submitted: ContinuousClock.Instant?
        package fileprivate(set) var started: ContinuousClock.Instant?
        package fileprivate(set) var ended: ContinuousClock.Instant?
    }

    private let state = Mutex(Moments())

    /// A report without moments.
    package init() {}

    /// The moments so far.
    package var moments: Moments { state.withLock { $0 } }

    func submit(_ now: ContinuousClock.Instant) { state.withLock { $0.submitted = now } }
    func start(_ now: ContinuousClock.Instant) { state.withLock { $0.started = now } }
    func end(_ now: ContinuousClock.Instant) { state.withLock { $0.ended = now } }
}
