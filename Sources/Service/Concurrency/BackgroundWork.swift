// Part of Inkstone. Licence: see LICENSE.

import Foundation
import NIOPosix

/// Long computations and disk accesses, on a few dedicated threads.
///
/// Swift's tasks share one thread for each processor: a task that does not suspend there delays every
/// request, health checks included.
package enum BackgroundWork {
    private static let pool: NIOThreadPool = {
        let processors = ProcessInfo.processInfo.activeProcessorCount
        let pool = NIOThreadPool(numberOfThreads: max(2, processors / 2))
        pool.start()
        return pool
    }()

    /// Runs `body` when one of the threads is free.
    ///
    /// - Throws: what `body` throws, `CancellationError` if the task is cancelled before it begins.
    package static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await pool.runIfActive(body)
    }
}
