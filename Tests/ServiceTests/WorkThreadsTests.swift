// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Service
import Synchronization
import Testing

@Suite("Threads for long work", .timeLimit(.minutes(5)))
struct WorkThreadsTests {
    /// The name of the thread that calls.
    private static func threadName() -> String {
        #if os(Linux)
            (try? String(contentsOf: URL(filePath: "/proc/thread-self/comm"), encoding: .utf8))
                ?? ""
        #else
            Thread.current.name ?? ""
        #endif
    }

    /// Work that is added from an actor must not run there.
    private actor Caller {
        func nameOfThread(of threads: WorkThreads) async throws -> String {
            try await threads.run { WorkThreadsTests.threadName() }
        }
    }

    @Test("work runs on the threads, also when an actor adds it")
    func ownThreads() async throws {
        #expect(try await WorkThreads.files.run { Self.threadName() }.hasPrefix("files-"))
        let caller = Caller()
        #expect(try await caller.nameOfThread(of: .disk).hasPrefix("disk-"))
    }

    /// Pieces of work in progress, and the most there were.
    private final class Counts: Sendable {
        let values = Mutex((running: 0, most: 0))
    }

    @Test("one thread does one piece of work at a time")
    func serial() async throws {
        let counts = Counts()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await WorkThreads.files.run {
                        counts.values.withLock {
                            $0.running += 1
                            $0.most = max($0.most, $0.running)
                        }
                        counts.values.withLock { $0.running -= 1 }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(WorkThreads.files.width == 1 && counts.values.withLock(\.most) == 1)
    }

    @Test("an error of the work reaches the caller")
    func errors() async throws {
        struct Failure: Error {}
        await #expect(throws: Failure.self) { try await WorkThreads.images.run { throw Failure() } }
    }
}
