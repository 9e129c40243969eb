// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import GRDB
import Parameters
import Service
import Synchronization
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A full disk refuses new jobs at once, lets jobs be removed, and is noticed when it has space again.
@Suite("A full disk", .timeLimit(.minutes(5)))
struct FullDiskTests {
    let folder: TemporaryFolder
    let engine = FakeEngine()
    let clock = ManualClock()

    init() throws { folder = try TemporaryFolder() }

    private func finishedJob(_ store: JobStore, seed: UInt64 = 7) async throws -> Job {
        let id = try await store.plant(
            try engine.request(seed: seed), images: [0], engine: engine)
        try await store.finish(id, JobEnd(.succeeded))
        return try #require(try await store.job(id, for: .all))
    }

    /// Lets transactions fail as on a full disk, the first ones or all.
    private func fill(_ store: JobStore, failures: Int = .max) {
        let left = Countdown(failures)
        store.failpoint.withLock {
            $0 = { point in
                guard point == .transaction, left.isRunning() else { return }
                throw DatabaseError(resultCode: .SQLITE_FULL)
            }
        }
    }

    private final class Countdown: Sendable {
        private let left: Mutex<Int>

        init(_ left: Int) { self.left = Mutex(left) }

        /// Counts a call; whether it is one of the first.
        func isRunning() -> Bool {
            left.withLock { left in
                left -= 1
                return left >= 0
            }
        }
    }

    private func free(_ store: JobStore) { store.failpoint.withLock { $0 = nil } }

    @Test("jobs are refused at once, and accepted when there is space again")
    func admission() async throws {
        let store = try JobStore(folder: folder.url.appending(path: "data"))
        // Retries would wait for a clock that stands still.
        let service = JobService(
            engine: engine, models: engine, store: store, limits: .init(storageTimeout: 60),
            clock: clock)
        #expect(await !service.isStorageFull)
        fill(store)
        for _ in 0..<2 {
            let error = await #expect(throws: GenerationError.self) {
                _ = try await service.submit(try engine.request(), model: "example")
            }
            #expect(error?.code == .storage)
            #expect(error?.message.contains("no space left") == true)
            #expect(await service.isStorageFull)
        }
        #expect(await !store.testSpace())
        free(store)
        #expect(await store.testSpace())
        #expect(await !service.isStorageFull)
        let job = try await service.submit(
            try engine.request(), model: "example", Submission(isDetached: true))
        for try await _ in try #require(try await service.watch(job.id, for: .all)) {}
    }

    @Test("housekeeping tests every few seconds whether there is space again")
    func recovery() async throws {
        let store = try JobStore(folder: folder.url.appending(path: "data"))
        let service = JobService(
            engine: engine, models: engine, store: store, limits: .init(storageTimeout: 0),
            clock: clock)
        await service.startHousekeeping()
        await clock.waitForSleeper()
        fill(store)
        await #expect(throws: GenerationError.self) {
            _ = try await service.submit(try engine.request(), model: "example")
        }
        free(store)
        // It was woken by the failure; if its test was before the space was free, the next one is not.
        while await service.isStorageFull {
            await clock.waitForSleeper()
            clock.advance(by: .seconds(5))
            await Task.yield()
        }
    }

    @Test("a removal uses the reserve, and then the space of the files")
    func removal() async throws {
        let store = try JobStore(folder: folder.url.appending(path: "data"))
        let jobs = [
            try await finishedJob(store, seed: 1), try await finishedJob(store, seed: 2),
            try await finishedJob(store, seed: 3),
        ]
        #expect(store.space.hasReserve)
        fill(store, failures: 1)
        #expect(try await store.remove([jobs[0].id]) == 1)
        #expect(!store.space.hasReserve && store.space.isFull)
        fill(store, failures: 2)
        #expect(try await store.remove([jobs[1].id]) == 1)
        for job in jobs.prefix(2) {
            #expect(try await store.job(job.id, for: .all) == nil)
            #expect(store.files.read(try #require(job.images.first).file) == nil)
        }
        // If nothing helps, the job stays, and a later removal has its effect.
        fill(store, failures: 3)
        let error = await #expect(throws: JobStoreError.self) {
            _ = try await store.remove([jobs[2].id])
        }
        #expect(error?.code == .full)
        #expect(try await store.job(jobs[2].id, for: .all) != nil)
        free(store)
        #expect(try await store.remove([jobs[2].id]) == 1)
        #expect(await store.testSpace())
        #expect(store.space.hasReserve)
    }

    @Test("a small disk that is really full", .enabled(if: SmallDisk.isPossible, SmallDisk.reason))
    func mounted() async throws {
        let disk = try SmallDisk(bytes: 8 << 20)
        defer { disk.unmount() }
        let data = disk.url.appending(path: "data")
        var jobs: [Job] = []
        do {
            let store = try JobStore(folder: data)
            for seed in 0..<20 { jobs.append(try await finishedJob(store, seed: UInt64(seed))) }
            try disk.fill()
            let error = await #expect(throws: JobStoreError.self) {
                for _ in 0..<10_000 {
                    _ = try await store.insert(
                        try engine.request(), model: "example", Submission())
                }
            }
            #expect(error?.code == .full)
            try disk.fill()
            #expect(await !store.hasSpace())
            #expect(try await store.remove([jobs.removeFirst().id]) == 1)
            #expect(!store.space.hasReserve)
            // The reserve is gone: the next removals have what the files free.
            for _ in 0..<3 {
                try disk.fill()
                #expect(try await store.remove([jobs.removeFirst().id]) == 1)
            }
            try disk.fill()
            // Housekeeping removes what is kept no longer, too.
            let service = JobService(
                engine: engine, models: engine, store: store,
                limits: .init(imageBytes: jobs[0].images[0].fileSize * 10, storageTimeout: 0))
            try await service.removeExpired()
            #expect(try await store.jobs(JobQuery(.all, states: [.succeeded])).count <= 10)
            #expect(await !store.testSpace())
            try store.close()
        }
        // A start on the full disk.
        try disk.fill()
        let store = try JobStore(folder: data)
        #expect(store.upgrade == nil)
        let left = try await store.jobs(JobQuery(.all, states: [.succeeded]))
        #expect(try await store.remove([left[0].id]) == 1)
        try disk.empty()
        #expect(await store.testSpace())
        #expect(store.space.hasReserve)
        #expect(try await store.jobs(JobQuery(.all, states: [.succeeded])).count == left.count - 1)
        _ = try await finishedJob(store)
    }
}

/// A small file system in memory.
struct SmallDisk {
    static let reason: Comment = "only root can mount a small disk"

    /// Whether this process may mount one.
    static let isPossible: Bool = {
        guard let disk = try? SmallDisk(bytes: 1 << 20) else { return false }
        disk.unmount()
        return true
    }()

    let url: URL
    private var ballast: URL { url.appending(path: "ballast") }

    init(bytes: Int) throws {
        url = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-disk-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        do {
            try Self.run("mount", ["-t", "tmpfs", "-o", "size=\(bytes)", "none", url.path])
        } catch {
            try? FileManager.default.removeItem(at: url)
            throw error
        }
    }

    /// Writes until nothing more fits, or no more than some bytes.
    func fill(leaving bytes: Int = 0) throws {
        try fillWhole()
        let size = try #require(
            FileManager.default.attributesOfItem(atPath: ballast.path)[.size] as? Int)
        #expect(truncate(ballast.path, size - bytes) == 0)
    }

    private func fillWhole() throws {
        let descriptor = open(ballast.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        for size in [1 << 16, 1 << 12, 1] {
            let bytes = [UInt8](repeating: 7, count: size)
            while write(descriptor, bytes, size) == size {}
        }
        #expect(errno == ENOSPC)
    }

    /// Frees what was written.
    func empty() throws { try FileManager.default.removeItem(at: ballast) }

    func unmount() {
        try? Self.run("umount", ["-l", url.path])
        try? FileManager.default.removeItem(at: url)
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        struct Failed: Error {}
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/\(program)")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failed() }
    }
}
