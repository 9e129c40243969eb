// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Parameters
import Service
import Synchronization
import Testing

/// Lookups find the jobs of their access only, whether a job is finished or not.
@Suite("Access to jobs", .timeLimit(.minutes(5)))
struct JobAccessTests {
    let folder: TemporaryFolder
    let engine = FakeEngine()
    private let ann = JobAccess.owner("ann")
    private let bob = JobAccess.owner("bob")

    init() throws { folder = try TemporaryFolder() }

    private func service() throws -> JobService {
        JobService(
            engine: engine, models: engine,
            store: try JobStore(folder: folder.url.appending(path: "data")),
            limits: .init(storageTimeout: 0))
    }

    /// Submits a detached job.
    private func submit(
        _ owner: String?, call: String, seed: UInt64, to service: JobService
    ) async throws -> Job {
        try await service.submit(
            try engine.request(seed: seed), model: "example",
            Submission(requestID: call, owner: owner, isDetached: true))
    }

    /// Waits for the end of a job.
    private func finish(_ job: Job, in service: JobService) async throws {
        guard let events = try await service.watch(job.id, for: .all) else { return }
        for try await _ in events {}
    }

    /// The seed of a job's image, which its colour shows.
    private func seed(
        _ name: String, for access: JobAccess, in service: JobService
    ) async throws -> UInt8? {
        guard let png = try await service.image(0, of: name, for: access) else { return nil }
        return try ImageDecoder.decode(png).image.pixels.first
    }

    @Test("two owners use one name for their calls: each finds the own job, and its own picture")
    func sharedName() async throws {
        let service = try service()
        let old = try await submit("ann", call: "call", seed: 1, to: service)
        try await finish(old, in: service)
        let first = try await submit("ann", call: "call", seed: 2, to: service)
        try await finish(first, in: service)
        let second = try await submit("bob", call: "call", seed: 3, to: service)
        try await finish(second, in: service)
        #expect(try await service.job("call", for: ann)?.job.id == first.id)
        #expect(try await service.job("call", for: bob)?.job.id == second.id)
        #expect(try await service.job("call", for: .all)?.job.id == second.id)
        #expect(try await service.job(old.id, for: ann)?.job.id == old.id)
        #expect(try await seed("call", for: ann, in: service) == 2)
        #expect(try await seed("call", for: bob, in: service) == 3)
        #expect(try await seed(old.id, for: ann, in: service) == 1)
        #expect(try await service.store.jobs(JobQuery(ann)).map(\.id) == [first.id, old.id])
        #expect(try await service.store.jobs(JobQuery(ann, before: second.id)).isEmpty)
        #expect(try await service.remove("call", for: bob))
        #expect(try await service.job("call", for: bob) == nil)
        #expect(try await service.job("call", for: .all)?.job.id == first.id)
    }

    @Test("a job's id is looked up first: a call with that name does not hide it, finished or not")
    func callNamedLikeJob() async throws {
        let service = try service()
        let job = try await submit("ann", call: "call", seed: 1, to: service)
        try await finish(job, in: service)
        // Its picture would come from memory, and the job's own from the store.
        engine.gate.withLock { $0 = false }
        let own = try await submit("ann", call: job.id, seed: 2, to: service)
        let other = try await submit("bob", call: job.id, seed: 3, to: service)
        #expect(try await service.job(job.id, for: ann)?.job.id == job.id)
        #expect(try await service.job(job.id, for: .all)?.job.id == job.id)
        #expect(try await service.job(job.id, for: bob)?.job.id == other.id)
        #expect(await service.progress(job.id, for: ann) == nil)
        #expect(await service.progress(job.id, for: bob) != nil)
        #expect(await service.cancel(job.id, for: ann) == false)
        engine.gate.withLock { $0 = true }
        try await finish(own, in: service)
        try await finish(other, in: service)
        #expect(try await seed(job.id, for: ann, in: service) == 1)
        #expect(try await seed(job.id, for: bob, in: service) == 3)
    }

    @Test("a finished call hides an older one of the same name that still runs")
    func newestCall() async throws {
        let service = try service()
        engine.gate.withLock { $0 = false }
        let older = try await submit("ann", call: "call", seed: 1, to: service)
        let newer = try await submit("ann", call: "call", seed: 2, to: service)
        #expect(await service.cancel("call", for: ann))
        await #expect(throws: CancellationError.self) { try await finish(newer, in: service) }
        #expect(await service.cancel("call", for: ann) == false)
        #expect(await service.progress("call", for: ann) == nil)
        #expect(await service.progress(older.id, for: ann) != nil)
        #expect(try await seed("call", for: ann, in: service) == nil)
        engine.gate.withLock { $0 = true }
        try await finish(older, in: service)
        #expect(try await service.job("call", for: ann)?.job.id == newer.id)
        #expect(try await seed("call", for: ann, in: service) == nil)
    }

    @Test(
        "no lookup reaches a job of another owner, by its id or by its call",
        arguments: [true, false])
    func foreign(isFinal: Bool) async throws {
        let service = try service()
        if !isFinal { engine.gate.withLock { $0 = false } }
        let job = try await submit("ann", call: "call", seed: 1, to: service)
        if isFinal { try await finish(job, in: service) }
        _ = try await submit(nil, call: "unowned", seed: 2, to: service)
        for access in [bob, .owner(""), .none] {
            for name in [job.id, "call", "unowned"] {
                #expect(try await service.job(name, for: access) == nil)
                #expect(try await service.watch(name, for: access) == nil)
                #expect(await service.progress(name, for: access) == nil)
                #expect(try await service.image(0, of: name, for: access) == nil)
                #expect(await service.cancel(name, for: access) == false)
                #expect(try await service.remove(name, for: access) == false)
            }
            #expect(await service.unfinished(for: access).isEmpty)
            #expect(try await service.jobs(JobQuery(access)).isEmpty)
        }
        #expect(try await service.job("call", for: ann)?.job.id == job.id)
        #expect(await service.unfinished(for: ann).map(\.id) == (isFinal ? [] : [job.id]))
        engine.gate.withLock { $0 = true }
        try await finish(job, in: service)
        #expect(try await service.image(0, of: job.id, for: ann) != nil)
        #expect(try await service.image(0, of: job.id, for: .all) != nil)
        #expect(try await service.image(0, of: job.id, for: bob) == nil)
        #expect(try await service.remove("call", for: ann))
        #expect(try await service.image(0, of: job.id, for: .all) == nil)
    }
}
