// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// How many threads a worker computes with: all processors if it is alone, else its share.
///
/// Images do not depend on it. A worker keeps the share that it was started with.
final class ProcessorShares: Sendable {
    private let workers: Mutex<Int>
    private let expected: Int

    init(expected: Int) {
        self.expected = expected
        workers = Mutex(0)
    }

    /// Records that there are more workers, or fewer.
    func add(_ count: Int) { workers.withLock { $0 += count } }

    /// Threads of a worker that starts now.
    var threads: Int {
        let sharing = max(1, expected, workers.withLock { $0 })
        return max(1, ProcessInfo.processInfo.activeProcessorCount / sharing)
    }
}
