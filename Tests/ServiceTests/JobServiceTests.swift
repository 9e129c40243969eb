// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Parameters
import Service
import Synchronization
import Testing

/// What the service promises of a job: nothing accepted is lost, nothing is drawn twice, and who
/// waits hears everything.
@Suite("Jobs", .timeLimit(.minutes(5)))
struct JobServiceTests {
    let folder: TemporaryFolder
    let engine = FakeEngine()

    init() throws { folder = try TemporaryFolder() }

    private func service(_ limits: JobService.Limits = .init(storageTimeout: 0)) throws
        -> JobService
    {
        JobService(
            engine: engine, models: engine,
            store: try JobStore(folder: folder.url.appending(path: "data")),
            limits: limits)
    }

    private func wait(
        for state: Job.State, of id: String, in service: JobService
    ) async throws -> Job {
        while true {
            if let job = try await service.store.job(id, for: .all), job.state == state {
                return job
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func story(
        _ events: JobEventStream
    ) async throws -> (steps: Int, images: [GeneratedImage]) {
        var (steps, images): (Int, [GeneratedImage]) = (0, [])
        for try await event in events {
            if case .step = event { steps += 1 }
            if case .image(let image) = event { images.append(image) }
        }
        return (steps, images)
    }

    @Test("a watched job delivers its pictures and keeps them")
    func watched() async throws {
        let service = try service()
        let request = try engine.request(count: 2)
        let submission = Submission(requestID: "call-1", owner: "ann")
        let (steps, images) = try await story(
            service.events(for: request, model: "example", submission))
        #expect(steps == 6)
        #expect(images.map(\.seed) == [7, 8])
        let job = try #require(try await service.store.job("call-1", for: .all))
        #expect(job.state == .succeeded)
        #expect(job.owner == "ann" && job.attempts == 1 && job.request == request)
        #expect(job.images.map(\.pixelDigest) == images.map(\.pixelDigest))
        for (picture, image) in zip(job.images, images) {
            let file = try #require(service.file(of: picture))
            let decoded = try ImageDecoder.decode(file)
            #expect(decoded.image == image.image)
            #expect(decoded.metadata.parameters?.contains("Seed: \(image.seed)") == true)
            #expect(image.png == file)
        }
        // A later watcher gets the same.
        let again = try await story(try #require(try await service.watch(job.id, for: .all)))
        #expect(again.images.map(\.image) == images.map(\.image))
    }

    @Test("a detached job continues without a watcher; its end can be awaited")
    func detached() async throws {
        let service = try service()
        let job = try await service.submit(
            try engine.request(), model: "example", Submission(isDetached: true))
        #expect(job.state == .queued)
        let done = try await wait(for: .succeeded, of: job.id, in: service)
        #expect(done.images.count == 1)
        #expect(done.finished != nil && done.started != nil)
    }

    @Test("a failure is kept with its reason and reaches the watcher")
    func failure() async throws {
        let service = try service()
        await #expect(throws: GenerationError(.numeric, "A number left the range.")) {
            for try await _ in service.events(
                for: try engine.request("fails"), model: "example", Submission(requestID: "f"))
            {}
        }
        let job = try #require(try await service.store.job("f", for: .all))
        #expect(job.state == .failed)
        #expect(job.failure == "A number left the range.")
    }

    @Test("the last watcher's leaving cancels a job, unless it is detached")
    func abandoned() async throws {
        engine.gate.withLock { $0 = false }
        let service = try service()
        for try await event in service.events(
            for: try engine.request(), model: "example", Submission(requestID: "a"))
        {
            if case .step = event { break }
        }
        _ = try await wait(for: .cancelled, of: "a", in: service)
        #expect(engine.state.withLock { $0.abandoned } == 1)

        for try await event in service.events(
            for: try engine.request(), model: "example",
            Submission(requestID: "b", isDetached: true))
        {
            if case .step = event { break }
        }
        engine.gate.withLock { $0 = true }
        _ = try await wait(for: .succeeded, of: "b", in: service)
    }

    @Test("cancelling works in the queue and in work, by either id")
    func cancel() async throws {
        engine.gate.withLock { $0 = false }
        let service = try service(.init(running: 1, storageTimeout: 0))
        var ids: [String] = []
        for number in 0..<3 {
            ids.append(
                try await service.submit(
                    try engine.request(), model: "example",
                    Submission(requestID: "r\(number)", isDetached: true)
                ).id)
        }
        #expect(await service.progress(ids[2], for: .all)?.place == 1)
        #expect(await service.cancel("r1", for: .all))
        #expect(await service.progress(ids[2], for: .all)?.place == 0)
        #expect(await service.cancel(ids[0], for: .all))
        _ = try await wait(for: .cancelled, of: ids[0], in: service)
        engine.gate.withLock { $0 = true }
        _ = try await wait(for: .succeeded, of: ids[2], in: service)
        #expect(try await service.store.job(ids[1], for: .all)?.state == .cancelled)
        #expect(await service.cancel(ids[1], for: .all) == false)
        #expect(await service.unfinished(for: .all).isEmpty)
    }

    @Test("more jobs than allowed are refused as busy, and none of them is kept")
    func busy() async throws {
        engine.gate.withLock { $0 = false }
        let service = try service(.init(running: 1, unfinished: 2, storageTimeout: 0))
        for _ in 0..<2 {
            _ = try await service.submit(
                try engine.request(), model: "example", Submission(isDetached: true))
        }
        let error = await #expect(throws: GenerationError.self) {
            _ = try await service.submit(try engine.request(), model: "example")
        }
        #expect(error?.code == .busy)
        #expect(try await service.store.jobs(JobQuery(.all)).count == 2)
        await service.cancelAll()
    }

    @Test("one idempotency key is one job; with another request it is an error")
    func idempotency() async throws {
        let service = try service()
        let submission = Submission(owner: "ann", idempotencyKey: "k", fingerprint: "same")
        let first = try await service.submit(
            try engine.request(), model: "example", submission)
        _ = try await wait(for: .succeeded, of: first.id, in: service)
        let again = try await story(
            service.events(for: try engine.request(seed: 99), model: "example", submission))
        #expect(again.images.map(\.seed) == [7])
        #expect(engine.state.withLock { $0.requests.count } == 1)
        var other = submission
        other.fingerprint = "different"
        let error = await #expect(throws: JobStoreError.self) {
            _ = try await service.submit(try engine.request(), model: "example", other)
        }
        #expect(error?.code == .keyReused)
        // Another owner's key is another key.
        other.owner = "bob"
        let theirs = try await service.submit(try engine.request(), model: "example", other)
        #expect(theirs.id != first.id)
    }

    @Test("progress rises to one")
    func progress() async throws {
        engine.gate.withLock { $0 = false }
        let service = try service()
        let job = try await service.submit(
            try engine.request(count: 2), model: "example", Submission(isDetached: true))
        while await service.progress(job.id, for: .all)?.stepsDone != 1 {
            try await Task.sleep(for: .milliseconds(1))
        }
        let progress = try #require(await service.progress(job.id, for: .all))
        #expect(progress.steps == 6 && progress.share == 1.0 / 6 && progress.images == 0)
        let events = try #require(try await service.watch(job.id, for: .all))
        engine.gate.withLock { $0 = true }
        let (steps, images) = try await story(events)
        // The watcher that came later hears of the first step too.
        #expect(steps == 6 && images.count == 2)
        #expect(await service.progress(job.id, for: .all) == nil)
    }

    // MARK: - After the end of the process

    @Test("a new process goes on where the old one was, and draws nothing twice")
    func resume() async throws {
        let source = try FakeEngine.image(seed: 0x123456, size: PixelSize(width: 32, height: 16))
        let request = try engine.request(count: 3, source: source)
        let data = folder.url.appending(path: "data")
        let id: String
        do {
            // What a killed process leaves: a running job with one image of three.
            let store = try JobStore(folder: data)
            id = try await store.plant(request, images: [0], engine: engine)
        }
        let service = try service()
        try await service.resume()
        let job = try await wait(for: .succeeded, of: id, in: service)
        #expect(job.images.map(\.seed) == [7, 8, 9])
        #expect(job.images.map(\.loras.count) == [1, 0, 0])
        let drawn = engine.state.withLock { $0.requests }
        #expect(drawn.map(\.seed) == [8] && drawn.map(\.count) == [2])
        #expect(drawn[0].source == request.source)
    }

    @Test("a picture whose file is gone is drawn again")
    func lostFile() async throws {
        let data = folder.url.appending(path: "data")
        let id: String
        do {
            let store = try JobStore(folder: data)
            id = try await store.plant(try engine.request(), images: [0], engine: engine)
            try FileManager.default.removeItem(at: data.appending(path: "pictures"))
        }
        let service = try service()
        try await service.resume()
        let job = try await wait(for: .succeeded, of: id, in: service)
        #expect(service.file(of: try #require(job.images.first)) != nil)
    }

    // MARK: - Retention

    @Test("old jobs go, and pictures that others have stay")
    func retention() async throws {
        let service = try service(.init(age: 0, storageTimeout: 0))
        let request = try engine.request()
        for id in ["x", "y"] {
            _ = try await story(
                service.events(for: request, model: "example", Submission(requestID: id)))
        }
        let (x, y) = (
            try #require(try await service.store.job("x", for: .all)),
            try #require(try await service.store.job("y", for: .all))
        )
        #expect(x.images[0].file == y.images[0].file)
        #expect(try await service.remove(x.id, for: .all))
        #expect(service.file(of: y.images[0]) != nil)
        try await service.removeExpired()
        #expect(try await service.store.job("y", for: .all) == nil)
        #expect(service.file(of: y.images[0]) == nil)
    }

    @Test("when pictures take more room than allowed, the oldest jobs go")
    func retentionBySize() async throws {
        let service = try service()
        for seed in 0..<4 {
            _ = try await story(
                service.events(
                    for: try engine.request(seed: UInt64(seed)), model: "example",
                    Submission(requestID: "s\(seed)")))
        }
        func bytes() async throws -> Int {
            try await service.store.jobs(JobQuery(.all)).flatMap(\.images)
                .reduce(0) { $0 + $1.fileSize }
        }
        let allowed = try await bytes() / 2
        try await JobService(
            engine: engine, models: engine, store: service.store,
            limits: .init(imageBytes: allowed)
        ).removeExpired()
        #expect(try await bytes() <= allowed)
        let left = try await service.store.jobs(JobQuery(.all)).compactMap(\.requestID)
        #expect(!left.isEmpty && left == Array(["s3", "s2", "s1"].prefix(left.count)))
    }

    @Test("a job whose time is over is cancelled, waiting or running, and says so")
    func deadline() async throws {
        let service = try service(.init(running: 1, storageTimeout: 0))
        engine.gate.withLock { $0 = false }
        let ended = Mutex(0)
        var jobs: [Job] = []
        for seconds in [0.05, 0.1] {
            jobs.append(
                try await service.submit(
                    try engine.request(), model: "example",
                    Submission(isDetached: true, seconds: seconds)
                ) { ended.withLock { $0 += 1 } })
        }
        for job in jobs {
            let over = try await wait(for: .cancelled, of: job.id, in: service)
            #expect(over.failure == "The request was cancelled: its time was over.")
            #expect(over.deadline != nil && over.images.isEmpty)
            let error = await #expect(throws: GenerationError.self) {
                _ = try await story(try #require(try await service.watch(job.id, for: .all)))
            }
            #expect(error?.code == .deadline)
        }
        #expect(ended.withLock { $0 } == 2)
        engine.gate.withLock { $0 = true }
        let next = try await story(service.events(for: try engine.request(), model: "example"))
        #expect(next.images.count == 1, "the place is free again")
    }

    @Test("the deadline of a waiting job, and a cancelled caller, end it in the store too")
    func waitingEnds() async throws {
        let service = try service(.init(running: 1, storageTimeout: 0))
        engine.gate.withLock { $0 = false }
        func submit(_ seconds: Double?) async throws -> Job {
            try await service.submit(
                try engine.request(), model: "example",
                Submission(isDetached: true, seconds: seconds))
        }
        let first = try await submit(nil)
        let overdue = try await submit(0.01)
        let cancelled = try await submit(nil)
        let over = try await wait(for: .cancelled, of: overdue.id, in: service)
        #expect(over.failure == "The request was cancelled: its time was over.")
        let caller = Task {
            while !Task.isCancelled { await Task.yield() }
            await service.cancel(cancelled.id, for: .all)
        }
        caller.cancel()
        await caller.value
        #expect(try await service.store.job(cancelled.id, for: .all)?.state == .cancelled)
        engine.gate.withLock { $0 = true }
        _ = try await wait(for: .succeeded, of: first.id, in: service)
    }

    @Test("the service's own limit counts where a client asks for more, and changes while it runs")
    func changedLimits() async throws {
        let service = try service(.init(seconds: 1000, storageTimeout: 0))
        func seconds(_ asked: Double?) async throws -> Double? {
            let job = try await service.submit(
                try engine.request(), model: "example", Submission(isDetached: true, seconds: asked)
            )
            return job.deadline?.timeIntervalSince(job.created)
        }
        func isNear(_ value: Double?, _ expected: Double) -> Bool {
            abs((value ?? -1) - expected) < 0.01
        }
        #expect(isNear(try await seconds(nil), 1000))
        #expect(isNear(try await seconds(5000), 1000))
        #expect(isNear(try await seconds(7), 7))
        await service.updateLimits(.init(seconds: 50))
        #expect(isNear(try await seconds(nil), 50))
        await service.updateLimits(.init())
        #expect(try await seconds(nil) == nil)
    }
}
