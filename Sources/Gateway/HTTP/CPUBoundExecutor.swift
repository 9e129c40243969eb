// Part of Inkstone. Licence: see LICENSE.

import Foundation
import NIOCore
import Synchronization

/// Runs work that keeps a processor busy for more than a few milliseconds on dedicated threads: reading large
/// bodies, encoding images.
///
/// The threads that all tasks share are as many as the machine has processors. A body of the largest size needs
/// one for up to a second: a few of them would delay every other request. The threads have a lower priority than
/// those, where the system knows priorities of threads.
package final class CPUBoundExecutor: TaskExecutor {
    /// Reads large bodies.
    package static let bodies = CPUBoundExecutor(name: "bodies")
    /// Encodes images, which must not wait for bodies of other clients.
    static let images = CPUBoundExecutor(name: "images")

    /// Added to the threads' niceness.
    private static let niceness: CInt = 5

    /// Threads.
    package let width: Int

    private let jobs = Mutex(CircularBuffer<UnownedJob>())
    /// Counts the jobs that wait.
    private let waiting = DispatchSemaphore(value: 0)

    /// Starts half as many threads as there are processors, which run until the process ends.
    private init(name: String) {
        width = max(1, ProcessInfo.processInfo.activeProcessorCount / 2)
        for number in 0..<width {
            let thread = Thread { [self] in runJobs() }
            thread.name = "\(name)-\(number)"
            thread.start()
        }
    }

    private func runJobs() {
        #if os(Linux)
            // Process 0 is this thread; a system that refuses it leaves the priority as it is.
            let kind: CInt = 0  // PRIO_PROCESS, whose imported type depends on the C library
            _ = setpriority(kind, 0, Self.niceness)
        #endif
        while true {
            waiting.wait()
            guard let job = jobs.withLock({ $0.popFirst() }) else { continue }
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
        waiting.signal()
    }

    /// Runs work on one of the threads.
    ///
    /// - Throws: what the work throws.
    func run<Value: Sendable>(_ work: () throws -> Value) async throws -> Value {
        try await withTaskExecutorPreference(self) { try work() }
    }
}
