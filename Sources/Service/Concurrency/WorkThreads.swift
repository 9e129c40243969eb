// Part of Inkstone. Licence: see LICENSE.

import Foundation
import NIOCore
import Synchronization

/// Threads of their own for work that computes for more than a few milliseconds, or waits for the disk.
///
/// The threads that all tasks share are as many as the machine has processors: a body of the largest size, or
/// an image that is encoded, would delay every other request, health checks included.
package final class WorkThreads: TaskExecutor {
    /// Reads large bodies of requests.
    package static let bodies = WorkThreads(name: "bodies", width: half, niceness: 5)
    /// Encodes and decodes images, which must not wait for the bodies of other clients.
    package static let images = WorkThreads(name: "images", width: half, niceness: 5)
    /// Resizes source images, one after the other: each needs the memory of a photograph.
    package static let resizing = WorkThreads(name: "resizing", width: 1, niceness: 5)
    /// Writes the files of jobs, one after the other.
    package static let files = WorkThreads(name: "files", width: 1)
    /// Reads models and LoRA files, and whatever else waits for the disk.
    package static let disk = WorkThreads(name: "disk", width: max(2, half))

    private static var half: Int { max(1, ProcessInfo.processInfo.activeProcessorCount / 2) }

    /// The number of threads.
    package let width: Int

    private let jobs = Mutex(CircularBuffer<UnownedJob>())
    /// Counts the jobs that wait.
    private let waiting = DispatchSemaphore(value: 0)

    /// Starts threads that run until the process ends.
    ///
    /// - Parameters:
    ///   - name: Name of the threads.
    ///   - width: Their number; with one, work is done in the order in which it was added.
    ///   - niceness: Lowers their priority, where the system knows priorities of threads.
    private init(name: String, width: Int, niceness: CInt = 0) {
        self.width = width
        for number in 0..<width {
            Thread.detachNewThread { [self] in
                Self.setName("\(name)-\(number)")
                runJobs(niceness)
            }
        }
    }

    /// Names the calling thread, for debuggers and `top`.
    private static func setName(_ name: String) {
        #if os(Linux)
            // Foundation loses a name that is set before it knows the new thread's handle.
            try? Data(name.utf8).write(to: URL(filePath: "/proc/thread-self/comm"))
        #else
            pthread_setname_np(name)
        #endif
    }

    private func runJobs(_ niceness: CInt) {
        #if os(Linux)
            // Process 0 is this thread; a system that refuses it leaves the priority as it is.
            let kind: CInt = 0  // PRIO_PROCESS, whose imported type depends on the C library
            if niceness != 0 { _ = setpriority(kind, 0, niceness) }
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
    package func run<Value: Sendable>(
        _ work: @Sendable () throws -> Value
    ) async throws -> Value {
        try await withTaskExecutorPreference(self) { try work() }
    }
}
