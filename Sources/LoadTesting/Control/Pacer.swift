// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Emits planned moments from a dedicated thread that sleeps in the kernel: timers of event loops
/// and of the concurrency runtime are late by a millisecond and more.
enum Pacer {
    /// A stream that yields the index of each of `times` when it is reached.
    ///
    /// The times are nanoseconds of the clock, ascending; `isOver` ends the stream early.
    static func moments(
        _ times: [Int64], clock: RunClock, isOver: @escaping @Sendable () -> Bool
    ) -> AsyncStream<Int> {
        AsyncStream { continuation in
            let thread = Thread {
                for (index, time) in times.enumerated() {
                    while true {
                        let left = time - clock.now
                        if left <= 0 || isOver() { break }
                        // Long waits are split so that the end is noticed.
                        let pause = min(left, 100_000_000)
                        var length = timespec(tv_sec: 0, tv_nsec: Int(pause))
                        nanosleep(&length, nil)
                    }
                    if isOver() { break }
                    continuation.yield(index)
                }
                continuation.finish()
            }
            thread.qualityOfService = .userInteractive
            thread.start()
        }
    }
}
