// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Parameters
import Service
import Synchronization
import Testing

/// What a process leaves to the next one, after a regular end and after a crash.
@Suite("Jobs over restarts", .timeLimit(.minutes(5)))
struct JobRestartTests {
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

    private func wait(until isTrue: () async throws -> Bool) async throws {
        while try await !isTrue() { try await Task.sleep(for: .milliseconds(2)) }
    }

    /// Ends a stream of events, and returns its error.
    private func failure(of events: JobEventStream?) async throws -> (any Error)? {
        let events = try #require(events)
        do {
            for try await _ in events {}
            return nil
        } catch {
            return error
        }
    }

    /// Leaves a job in the store of a process that has crashed, and returns its id.
    private func leave(
        _ submission: Submission, starts: Int, prompt: String = "a cat"
    ) async throws -> String {
        let store = try JobStore(folder: data)
        let (job, _) = try await store.insert(
            try engine.request(prompt), model: "example", submission)
        for _ in 0..<starts { try await store.start(job.id) }
        return job.id
    }

    // MARK: - Crashes

    @Test("after a crash, jobs whose callers waited are cancelled, and the others are run")
    func callersGone() async throws {
        let waiting = try await leave(Submission(requestID: "w"), starts: 0)
        let begun = try await leave(Submission(requestID: "b"), starts: 1)
        let named = try await leave(Submission(idempotencyKey: "k"), starts: 1)
        let detached = try await leave(Submission(isDetached: true), starts: 1)
        engine.gate.withLock { $0 = false }
        let service = try service()
        // A call of this process, before the earlier jobs are resumed.
        let own = try await service.submit(try engine.request("own"), model: "example")
        try await service.resume()
        for id in [waiting, begun] {
            let job = try #require(try await service.store.job(id, for: .all))
            #expect(job.state == .cancelled && job.failureCode == .serverStopped)
            #expect(job.failure?.contains("restarted while the caller waited") == true)
            let error = try await failure(of: service.watch(id, for: .all)) as? GenerationError
            #expect(error?.code == .serverStopped)
        }
        engine.gate.withLock { $0 = true }
        for id in [named, detached, own.id] {
            try await wait { try await service.store.job(id, for: .all)?.state == .succeeded }
        }
        #expect(engine.state.withLock { $0.requests.count } == 3)
    }

    @Test("a job that was in work at each of three crashes is given up", arguments: [2, 3])
    func attempts(starts: Int) async throws {
        let submission = Submission(idempotencyKey: "k")
        let id = try await leave(submission, starts: starts)
        let service = try service(.init(storageTimeout: 0, attempts: 3))
        try await service.resume()
        guard starts == 3 else {
            try await wait { try await service.store.job(id, for: .all)?.state == .succeeded }
            #expect(try await service.store.job(id, for: .all)?.attempts == 3)
            return
        }
        let job = try #require(try await service.store.job(id, for: .all))
        #expect(job.state == .failed && job.isGivenUp && job.failureCode == .workerLost)
        #expect(job.failure?.hasPrefix("The server ended 3 times") == true)
        #expect(engine.state.withLock { $0.requests.isEmpty })
        // Its client was advised to try again.
        let next = try await service.submit(try engine.request(), model: "example", submission)
        #expect(next.id != id)
    }

    @Test("the events of a job that is not resumed yet come when it is")
    func watchedBefore() async throws {
        let id = try await leave(Submission(isDetached: true), starts: 1)
        let service = try service()
        let events = try #require(try await service.watch(id, for: .all))
        let reading = Task {
            var images = 0
            for try await event in events { if case .image = event { images += 1 } }
            return images
        }
        try await service.resume()
        #expect(try await reading.value == 1)
    }

    @Test("earlier jobs are resumed although the database was locked at first")
    func lockedAtStart() async throws {
        let id = try await leave(Submission(isDetached: true), starts: 1)
        let service = try service()
        let failures = Mutex(2)
        service.store.failpoint.withLock {
            $0 = { _ in
                let fails = failures.withLock { failures in
                    failures -= 1
                    return failures >= 0
                }
                if fails { throw JobStoreError(code: .locked, message: "locked") }
            }
        }
        try await service.resume()
        try await wait { try await service.store.job(id, for: .all)?.state == .succeeded }
    }

    // MARK: - Regular ends

    @Test("a regular end reports to all who wait, and leaves detached jobs to the next process")
    func stop() async throws {
        engine.gate.withLock { $0 = false }
        var ids: [String] = []
        do {
            let service = try service(.init(running: 2, storageTimeout: 0))
            for isDetached in [true, false, true] {
                let job = try await service.submit(
                    try engine.request(count: 2), model: "example",
                    Submission(isDetached: isDetached))
                ids.append(job.id)
            }
            var streams: [JobEventStream] = []
            for id in ids { streams.append(try #require(try await service.watch(id, for: .all))) }
            try await wait { try await service.store.job(ids[1], for: .all)?.state == .running }
            try await wait { try await service.store.job(ids[0], for: .all)?.state == .running }
            await service.stop()
            for stream in streams {
                let error = try await failure(of: stream) as? GenerationError
                #expect(error?.code == .serverStopped)
            }
            #expect(
                try await failure(of: service.watch(ids[0], for: .all)) as? GenerationError
                    == JobService.stopped)
            await #expect(throws: JobService.stopped) {
                _ = try await service.submit(try engine.request(), model: "example")
            }
            let jobs = try await service.store.jobs(JobQuery(.all))
            #expect(jobs.map(\.state) == [.queued, .cancelled, .queued])
            #expect(jobs.map(\.attempts) == [0, 1, 0], "a regular end is not a failed attempt")
            #expect(jobs[1].failureCode == .serverStopped)
        }
        engine.gate.withLock { $0 = true }
        let service = try service()
        try await service.resume()
        for id in [ids[0], ids[2]] {
            try await wait { try await service.store.job(id, for: .all)?.state == .succeeded }
        }
    }

    @Test("a client that cancels just before the end has cancelled its job")
    func cancelledBeforeStop() async throws {
        engine.gate.withLock { $0 = false }
        let service = try service()
        let job = try await service.submit(
            try engine.request(), model: "example", Submission(isDetached: true))
        try await wait { try await service.store.job(job.id, for: .all)?.state == .running }
        await service.cancel(job.id, for: .all)
        await service.stop()
        #expect(try await service.store.job(job.id, for: .all)?.state == .cancelled)
    }

    // MARK: - Idempotency keys

    @Test(
        "a key stands for its failure, unless the answer was to try again",
        arguments: GenerationError.Code.allCases)
    func failures(code: GenerationError.Code) async throws {
        let expected = GenerationError(code, "It went wrong.")
        engine.failure.withLock { $0 = expected }
        let submission = Submission(idempotencyKey: "k", fingerprint: "f")
        let id: String
        do {
            let service = try service()
            id = try await service.submit(
                try engine.request("fails"), model: "example", submission
            ).id
            let error = try await failure(of: service.watch(id, for: .all)) as? GenerationError
            #expect(error == expected)
            try await wait { try await service.store.job(id, for: .all)?.state.isFinal == true }
            await service.stop()
        }
        let service = try service()
        try await service.resume()
        #expect(try await service.store.job(id, for: .all)?.failureCode == code)
        var other = submission
        other.fingerprint = "g"
        await #expect(throws: JobStoreError.self, "the key is that of one request") {
            _ = try await service.submit(try engine.request("fails"), model: "example", other)
        }
        let again = try await service.submit(
            try engine.request("fails"), model: "example", submission)
        #expect((again.id == id) == !code.isTransient)
        let error = try await failure(of: service.watch(again.id, for: .all)) as? GenerationError
        #expect(error == expected)
        #expect(engine.state.withLock { $0.requests.count } == (code.isTransient ? 2 : 1))
        // The next one finds the next attempt.
        if code.isTransient {
            try await wait {
                try await service.store.job(again.id, for: .all)?.state.isFinal == true
            }
            let third = try await service.submit(
                try engine.request("fails"), model: "example", submission)
            #expect(third.id != again.id && third.id != id)
        }
    }
}
