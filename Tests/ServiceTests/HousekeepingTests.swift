// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Foundation
import GRDB
import Imaging
import Parameters
import Service
import Testing

/// What is done by the clock, at a start and at a stop.
@Suite("Housekeeping", .timeLimit(.minutes(5)))
struct HousekeepingTests {
    let folder: TemporaryFolder
    let engine = FakeEngine()
    let clock = ManualClock()
    private var data: URL { folder.url.appending(path: "data") }

    init() throws { folder = try TemporaryFolder() }

    private func service(_ store: JobStore, age: Double? = 0, bytes: Int = 1 << 30) -> JobService {
        JobService(
            engine: engine, models: engine, store: store,
            limits: .init(age: age, imageBytes: bytes, storageTimeout: 0), clock: clock)
    }

    private func finishedJob(_ store: JobStore) async throws -> String {
        let id = try await store.plant(try engine.request(), images: [0], engine: engine)
        try await store.finish(id, JobEnd(.succeeded))
        return id
    }

    private func isEmpty(_ store: JobStore) async throws -> Bool {
        try await store.jobs(JobQuery(.all)).isEmpty
    }

    @Test("old jobs go right after a start, and by the clock while nothing else happens")
    func byClock() async throws {
        let store = try JobStore(folder: data)
        _ = try await finishedJob(store)
        let service = service(store)
        #expect(try await !isEmpty(store))
        await service.startHousekeeping()
        await clock.waitForSleeper()
        #expect(try await isEmpty(store), "right after the start")
        for _ in 0..<2 {
            _ = try await finishedJob(store)
            #expect(try await !isEmpty(store))
            clock.advance(by: .seconds(30))
            await clock.waitForSleeper()
            #expect(try await isEmpty(store), "by the clock")
        }
    }

    @Test("images that exceed the limit go as soon as a job ends")
    func bySize() async throws {
        let store = try JobStore(folder: data)
        func run(_ service: JobService, seed: UInt64) async throws {
            let request = try engine.request(seed: seed)
            for try await _ in service.events(for: request, model: "example") {}
        }
        try await run(service(store, age: nil), seed: 1)
        let old = try #require(try await store.jobs(JobQuery(.all)).first)
        let bytes = try #require(old.images.first?.fileSize)
        let limited = service(store, age: nil, bytes: bytes * 3 / 2)
        try await limited.removeExpired()
        #expect(try await store.job(old.id, for: .all) != nil)
        try await run(limited, seed: 2)
        // The end is reported before the removal.
        while try await store.job(old.id, for: .all) != nil { await Task.yield() }
        #expect(try await store.jobs(JobQuery(.all)).count == 1)
    }

    @Test(
        "a star keeps a job for longer than its age and the space of images allow, until it is taken"
    )
    func stars() async throws {
        let store = try JobStore(folder: data)
        let kept = try await finishedJob(store)
        let other = try await finishedJob(store)
        #expect(try await store.star(0, of: kept, true, for: .all))
        #expect(try await !store.star(1, of: kept, true, for: .all), "there is no such image")
        #expect(try await !store.star(0, of: "job-none", true, for: .all))
        #expect(try await !store.star(0, of: kept, true, for: .owner("ann")), "not hers")
        var starred = JobQuery(.all)
        starred.isStarred = true
        #expect(try await store.jobs(starred).map(\.id) == [kept])
        #expect(try await store.jobs(starred).first?.images.first?.isStarred == true)
        starred.isStarred = false
        #expect(try await store.jobs(starred).map(\.id) == [other])

        // Neither its age nor the space that it takes count.
        let size = try #require(try await store.job(kept, for: .all)?.images.first?.fileSize)
        try await service(store, age: nil, bytes: size).removeExpired()
        #expect(try await store.jobs(JobQuery(.all)).map(\.id) == [other, kept])
        try await service(store, bytes: size).removeExpired()
        #expect(try await store.jobs(JobQuery(.all)).map(\.id) == [kept])

        // A user may remove it, and without its star it goes like any other.
        let third = try await finishedJob(store)
        #expect(try await store.star(0, of: third, true, for: .all))
        #expect(try await service(store).remove(third, for: .all))
        #expect(try await store.star(0, of: kept, false, for: .all))
        try await service(store).removeExpired()
        #expect(try await isEmpty(store))
    }

    @Test("what a killed process has left is swept: temporary files, files without a row")
    func sweep() async throws {
        let store = try JobStore(folder: data)
        let kept = try await finishedJob(store)
        let incomplete = try await store.insert(
            try engine.request(
                source: try FakeEngine.image(seed: 5, size: PixelSize(width: 32, height: 16))),
            model: "example", Submission()
        ).job
        let source = try #require(incomplete.source?.image)
        store.sources.remove(source)
        let orphans = (
            try store.files.store([1, 2, 3]), try store.sources.store([4, 5, 6])
        )
        let staged = try store.files.stage([7, 8, 9])
        let leftovers = [
            ".reserve-1.tmp", "pictures/\(orphans.0.prefix(2))/.image-1.tmp",
            "sources/\(orphans.1.prefix(2))/.inkstone-1.tmp",
        ].map { data.appending(path: $0) }
        for leftover in leftovers { try Data([0]).write(to: leftover) }

        let sweep = try await store.sweep()
        #expect(sweep.removed == 2 && sweep.incomplete == [incomplete.id])
        #expect(store.files.read(orphans.0) == nil && store.sources.read(orphans.1) == nil)
        for leftover in leftovers {
            #expect(!FileManager.default.fileExists(atPath: leftover.path))
        }
        let image = try #require(try await store.job(kept, for: .all)?.images.first)
        #expect(store.files.read(image.file) != nil)
        // A file that is being written stays.
        try staged.commit()
        #expect(store.files.read(staged.name) == [7, 8, 9])
        let next = try await store.sweep()
        #expect(next.removed == 1 && next.incomplete == [incomplete.id])
    }

    @Test("the database file shrinks when jobs are removed")
    func shrink() async throws {
        let store = try JobStore(folder: data)
        let prompt = String(repeating: "a long prompt ", count: 100)
        var ids: [String] = []
        for _ in 0..<1000 {
            ids.append(
                try await store.insert(
                    try engine.request(prompt), model: "example", Submission()
                ).job.id)
        }
        for id in ids { try await store.finish(id, JobEnd(.failed)) }
        try await store.shrink()
        let path = data.appending(path: "jobs.sqlite").path
        func size() throws -> Int {
            try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        }
        #expect(try await store.remove(ids) == 1000)
        let before = try size()
        try await store.shrink()
        #expect(try before > 4_000_000 && size() < 1_000_000, "\(before) bytes before")
    }

    @Test("a store that is closed leaves nothing in its log")
    func close() async throws {
        let store = try JobStore(folder: data)
        let id = try await finishedJob(store)
        _ = try await store.jobs(JobQuery(.all))
        let log = data.appending(path: "jobs.sqlite-wal").path
        #expect(try Data(contentsOf: URL(filePath: log)).count > 0)
        try store.close()
        let left = try? FileManager.default.attributesOfItem(atPath: log)[.size] as? Int
        #expect((left ?? 0) == 0)
        // The file alone is the whole database.
        let copy = folder.url.appending(path: "copy.sqlite")
        try FileManager.default.copyItem(at: data.appending(path: "jobs.sqlite"), to: copy)
        let found = try await DatabaseQueue(path: copy.path).read { db in
            try String.fetchOne(db, sql: "SELECT id FROM job")
        }
        #expect(found == id)
        await #expect(throws: JobStoreError.self) { _ = try await store.jobs(JobQuery(.all)) }
    }

    // MARK: - Sockets

    @Test("folders of sockets of processes that were killed are removed, no others")
    func sockets() throws {
        // A short path: the system limits those of sockets.
        let parent = URL(filePath: "/tmp/ink-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: parent) }
        func make(_ name: String, hasLock: Bool) throws -> String {
            let folder = parent.appending(path: name)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data().write(to: folder.appending(path: "worker-1"))
            if hasLock { try Data().write(to: folder.appending(path: "lock")) }
            return folder.path
        }
        let live = try SocketFolder(in: parent)
        let dead = try make("inkstone-abc123", hasLock: true)
        let others = [
            try make("inkstone-abc124", hasLock: false), try make("inkstone-x", hasLock: true),
            try make("other-abc123", hasLock: true),
        ]
        let next = try SocketFolder(in: parent)
        #expect(live.path != next.path)
        for folder in [live, next] {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path)
            #expect(attributes[.posixPermissions] as? Int == 0o700)
        }
        #expect(!FileManager.default.fileExists(atPath: dead))
        for path in others + [live.path, next.path] {
            #expect(FileManager.default.fileExists(atPath: path), "\(path)")
        }
        next.remove()
        #expect(!FileManager.default.fileExists(atPath: next.path))
        withExtendedLifetime(live) {}
    }
}
