// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import GRDB
import Service
import Synchronization
import Testing

/// Jobs whose end cannot be written, and jobs that no run belongs to.
@Suite("Ends of jobs", .timeLimit(.minutes(5)))
struct JobEndTests {
    let folder: TemporaryFolder
    let engine = FakeEngine()
    private var data: URL { folder.url.appending(path: "data") }

    init() throws { folder = try TemporaryFolder() }

    private func service(_ limits: JobService.Limits = .init(storageTimeout: 0)) throws
        -> JobService
    {
        JobService(
            engine: engine, models: engine, store: try JobStore(folder: data), limits: limits)
    }

    /// A column of a job's row, whatever the store has in memory.
    private func row(_ id: String, _ column: String = "state") async throws -> String? {
        let database = try DatabaseQueue(path: data.appending(path: "jobs.sqlite").path)
        return try await database.read {
            try String.fetchOne($0, sql: "SELECT \(column) FROM job WHERE id = ?", arguments: [id])
        }
    }

    private func wait(until isTrue: () async throws -> Bool) async throws {
        while try await !isTrue() { try await Task.sleep(for: .milliseconds(2)) }
    }

    /// A detached job that is in its first step.
    private func running(_ service: JobService, _ submission: Submission) async throws -> Job {
        engine.gate.withLock { $0 = false }
        let before = engine.state.withLock { $0.requests.count }
        let job = try await service.submit(
            try engine.request(), model: "example", submission)
        try await wait { engine.state.withLock { $0.requests.count } > before }
        return job
    }

    @Test("an end that cannot be written counts at once, and is written when that is possible")
    func unwritten() async throws {
        let service = try service()
        let job = try await running(service, Submission(isDetached: true))
        let events = try #require(try await service.watch(job.id, for: .all))
        service.store.failpoint.withLock {
            $0 = { _ in throw DatabaseError(resultCode: .SQLITE_BUSY) }
        }
        #expect(await service.cancel(job.id, for: .all))
        await #expect(throws: CancellationError.self) { for try await _ in events {} }
        try await wait { await service.unfinished(for: .all).isEmpty }
        #expect(try await row(job.id) == "running")
        #expect(try await service.job(job.id, for: .all)?.job.state == .cancelled)
        #expect(try await service.jobs(JobQuery(.all, states: [.cancelled])).map(\.id) == [job.id])
        #expect(try await service.jobs(JobQuery(.all, states: [.running])).isEmpty)
        #expect(try await service.jobs(JobQuery(.all)).map(\.state) == [.cancelled])
        let error = await #expect(throws: JobStoreError.self) {
            _ = try await service.remove(job.id, for: .all)
        }
        #expect(error?.code == .locked)

        service.store.failpoint.withLock { $0 = nil }
        try await wait { try await row(job.id) == "cancelled" }
        #expect(try await service.remove(job.id, for: .all))
        #expect(try await service.job(job.id, for: .all) == nil)
    }

    @Test("a failure that is not written is in the list of those given up, and releases its key")
    func unwrittenFailure() async throws {
        let service = try service()
        engine.failure.withLock { $0 = GenerationError(.workerLost, "It ended 4 times.") }
        // The job is inserted and started; its end fails.
        let left = Mutex(2)
        service.store.failpoint.withLock {
            $0 = { _ in
                let isLeft = left.withLock { left in
                    left -= 1
                    return left >= 0
                }
                guard isLeft else { throw JobStoreError(code: .full, message: "full") }
            }
        }
        let submission = Submission(idempotencyKey: "k")
        let job = try await service.submit(
            try engine.request("fails"), model: "example", submission)
        try await wait { await service.unfinished(for: .all).isEmpty }
        #expect(try await row(job.id) == "running")
        let known = try #require(try await service.job(job.id, for: .all)?.job)
        #expect(known.isGivenUp && known.failureCode == .workerLost)
        for isGivenUp in [true, false] {
            var query = JobQuery(.all)
            query.isGivenUp = isGivenUp
            #expect(try await service.jobs(query).map(\.id) == (isGivenUp ? [job.id] : []))
        }
        service.store.failpoint.withLock { $0 = nil }
        let next = try await service.submit(
            try engine.request("fails"), model: "example", submission)
        #expect(next.id != job.id)
        try await wait { try await row(job.id, "failureCode") == "workerLost" }
    }

    @Test("a locked database is waited for, as a full disk is")
    func locked() async throws {
        let service = try service(.init(storageTimeout: 30))
        let failures = Mutex(2)
        service.store.failpoint.withLock {
            $0 = { _ in
                let fails = failures.withLock { failures in
                    failures -= 1
                    return failures >= 0
                }
                if fails { throw DatabaseError(resultCode: .SQLITE_LOCKED) }
            }
        }
        let job = try await service.submit(
            try engine.request(), model: "example", Submission(isDetached: true))
        try await wait { try await row(job.id) == "succeeded" }
    }

    // MARK: - Jobs without a run

    @Test("a job that no run belongs to can be cancelled and removed", arguments: [true, false])
    func orphan(isReadable: Bool) async throws {
        let store = try JobStore(folder: data)
        let id = try await store.plant(try engine.request(), images: [0], engine: engine)
        if !isReadable {
            let database = try DatabaseQueue(path: data.appending(path: "jobs.sqlite").path)
            try await database.write { try $0.execute(sql: "UPDATE job SET request = '{'") }
        }
        let service = JobService(engine: engine, models: engine, store: store)
        #expect(try await service.remove(id, for: .all) == false, "it is not final")
        #expect(await service.cancel(id, for: .all))
        #expect(try await row(id) == "cancelled")
        #expect(await service.cancel(id, for: .all) == false)
        #expect(try await service.remove(id, for: .all))
        #expect(try await row(id) == nil)
    }

    @Test("a job that ends in the store before its run begins is not run")
    func endsBeforeItsRun() async throws {
        let service = try service(.init(running: 1, storageTimeout: 0))
        _ = try await running(service, Submission(isDetached: true))
        let next = try await service.submit(
            try engine.request(), model: "example", Submission(isDetached: true))
        try await service.store.finish(next.id, JobEnd(.failed, "elsewhere", code: .storage))
        let events = try #require(try await service.watch(next.id, for: .all))
        engine.gate.withLock { $0 = true }
        await #expect(throws: CancellationError.self) { for try await _ in events {} }
        #expect(engine.state.withLock { $0.requests.count } == 1)
        #expect(try await row(next.id, "failure") == "elsewhere", "the first end stays")
    }
}
