// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import GRDB
import Imaging
import Parameters
import Service
import Synchronization
import Testing

/// Images that jobs start from: files beside the database, which has their names alone.
@Suite("Source files", .timeLimit(.minutes(5)))
struct SourceFileTests {
    let folder: TemporaryFolder
    let engine = FakeEngine()
    private var data: URL { folder.url.appending(path: "data") }
    private var path: String { data.appending(path: "jobs.sqlite").path }

    init() throws { folder = try TemporaryFolder() }

    /// A request that starts from images of one colour each.
    private func request(_ image: UInt64, mask: UInt64? = nil) throws -> ImageRequest {
        func picture(_ seed: UInt64) throws -> RGBImage {
            try FakeEngine.image(seed: seed, size: PixelSize(width: 32, height: 16))
        }
        let source = ImageRequest.Source(
            image: try picture(image), mask: try mask.map(picture))
        return try engine.request(source: source.image).with(source: source)
    }

    private func insert(_ request: ImageRequest, _ store: JobStore) async throws -> Job {
        try await store.insert(request, model: "example", Submission()).job
    }

    private func isStored(_ name: String) -> Bool {
        FileManager.default.fileExists(
            atPath: data.appending(path: "sources/\(name.prefix(2))/\(name).png").path)
    }

    @Test("a source and its mask survive a restart; jobs have their names alone")
    func restart() async throws {
        let request = try request(1, mask: 2)
        let id: String
        do {
            let store = try JobStore(folder: data)
            let job = try await insert(request, store)
            #expect(job.request == request.with(source: nil) && job.request.strength == 0.5)
            id = job.id
        }
        let store = try JobStore(folder: data)
        let source = try #require(try await store.job(id, for: .all)?.source)
        #expect(try await store.unfinished().map(\.source) == [source])
        #expect(try await store.jobs(JobQuery(.all)).map(\.source) == [source])
        #expect(try await store.pixels(of: source) == request.source)
        let mask = try #require(source.mask)
        #expect(isStored(source.image) && isStored(mask) && source.image != mask)
        try await store.finish(id, JobEnd(.cancelled))
        #expect(try await store.remove([id]) == 1)
        #expect(!isStored(source.image) && !isStored(mask))
    }

    @Test("equal sources are one file, which goes with the last job, as an image or as a mask")
    func shared() async throws {
        let store = try JobStore(folder: data)
        var jobs: [Job] = []
        for request in [try request(1), try request(1), try request(2, mask: 1)] {
            jobs.append(try await insert(request, store))
        }
        let file = try #require(jobs[0].source?.image)
        #expect(jobs[1].source == jobs[0].source && jobs[2].source?.mask == file)
        for job in jobs {
            #expect(isStored(file))
            try await store.finish(job.id, JobEnd(.failed))
            #expect(try await store.remove([job.id]) == 1)
        }
        #expect(!isStored(file))
    }

    @Test("a source stays while the last job with an equal one is removed")
    func interleaved() async throws {
        let store = try JobStore(folder: data)
        let old = try await insert(try request(1), store)
        try await store.finish(old.id, JobEnd(.failed))
        let removal = store.interleave(at: .filesStored) { _ = try await store.remove([old.id]) }
        let new = try await insert(try request(1), store)
        try await removal.value
        let source = try #require(new.source)
        #expect(try await store.pixels(of: source) == request(1).source)
        // And the other way round: it is stored again while it is being removed.
        try await store.finish(new.id, JobEnd(.failed))
        let submission = store.interleave(at: .rowsRemoved) {
            _ = try await insert(try request(1), store)
        }
        _ = try await store.remove([new.id])
        try await submission.value
        #expect(try await store.pixels(of: source) == request(1).source)
    }

    @Test("sources count as images that are kept, and go with their jobs")
    func retention() async throws {
        let store = try JobStore(folder: data)
        var sizes: [Int] = []
        var ids: [String] = []
        for number in 1...3 {
            let job = try await insert(try request(UInt64(number), mask: 9), store)
            sizes.append(try #require(job.source?.fileSize))
            ids.append(job.id)
        }
        let all = sizes.reduce(0, +)
        #expect(try await store.expired(before: nil, imageBytes: all - 1).isEmpty, "not final")
        for id in ids { try await store.finish(id, JobEnd(.succeeded)) }
        #expect(try await store.expired(before: nil, imageBytes: all).isEmpty)
        #expect(try await store.expired(before: nil, imageBytes: all - 1) == [ids[0]])
        #expect(try await store.expired(before: nil, imageBytes: sizes[2]) == Array(ids.prefix(2)))
    }

    @Test("lists read rows alone, and those are small")
    func lists() async throws {
        let store = try JobStore(folder: data)
        // Noise, which no file format makes smaller.
        let noise = try RGBImage(
            width: 128, height: 128,
            pixels: (0..<(3 * 128 * 128)).map { _ in UInt8.random(in: 0...255) })
        let request = try engine.request(source: noise)
        for _ in 0..<200 { _ = try await insert(request, store) }
        try FileManager.default.removeItem(at: data.appending(path: "sources"))
        try await withThrowingTaskGroup(of: [Job].self) { group in
            for _ in 0..<6 {
                group.addTask { try await store.jobs(JobQuery(.all, limit: 200)) }
            }
            for try await jobs in group {
                #expect(jobs.count == 200 && jobs.allSatisfy { $0.source != nil })
            }
        }
        let bytes = try await DatabaseQueue(path: path).read { db in
            try Int.fetchOne(
                db, sql: "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        }
        #expect(try #require(bytes) < 200 * 2048, "each source has 48 KiB of pixels")
    }

    @Test("a job whose source is gone fails with the reason")
    func missing() async throws {
        let store = try JobStore(folder: data)
        let service = JobService(engine: engine, models: engine, store: store)
        engine.gate.withLock { $0 = false }
        let job = try await insert(try request(1), store)
        try FileManager.default.removeItem(at: data.appending(path: "sources"))
        try await service.resume()
        let events = try #require(try await service.watch(job.id, for: .all))
        let error = await #expect(throws: GenerationError.self) { for try await _ in events {} }
        #expect(
            error?.code == .storage && error?.message.contains("send the request again") == true)
        #expect(engine.state.withLock { $0.requests.isEmpty })
    }

    // MARK: - Databases of earlier versions

    /// A database as versions before 6 left it: sources in a table, and one in a request of version 0.1.
    private func plantOldDatabase() throws -> (image: [UInt8], mask: [UInt8]) {
        let source = try #require(try request(1, mask: 2).source)
        let (image, mask) = (
            try ImageEncoder.encode(source.image),
            try ImageEncoder.encode(try #require(source.mask))
        )
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
        try Data(try StoredFormatTests.bytes("jobs.sqlite")).write(to: URL(filePath: path))
        let database = try DatabaseQueue(path: path)
        try database.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE source (
                        job INTEGER PRIMARY KEY REFERENCES job (number) ON DELETE CASCADE,
                        image BLOB NOT NULL,
                        mask BLOB
                    ) STRICT;
                    INSERT INTO grdb_migrations VALUES ('5 source images beside requests');
                    UPDATE job SET request = json_insert(request, '$.strength', 0.5)
                        WHERE number IN (1, 2);
                    """)
            try db.execute(
                sql: "INSERT INTO source VALUES (1, ?, ?), (2, ?, NULL)",
                arguments: [Data(image), Data(mask), Data(image)])
        }
        try database.close()
        return (image, mask)
    }

    @Test("sources of earlier versions become files, and the database shrinks")
    func migration() async throws {
        let (image, mask) = try plantOldDatabase()
        let store = try JobStore(folder: data)
        #expect(store.upgrade != nil)
        let jobs = try await store.jobs(JobQuery(.all)).reversed().map(\.self)
        #expect(jobs[0].source?.fileSize == image.count + mask.count)
        #expect(jobs[1].source?.fileSize == image.count && jobs[1].source?.mask == nil)
        #expect(jobs[1].source?.image == jobs[0].source?.image)
        #expect(try await store.pixels(of: #require(jobs[0].source)) == request(1, mask: 2).source)
        // One was in the request itself.
        let embedded = try StoredFormatTests.Recorded.source.request()
        #expect(jobs[2].request == embedded.with(source: nil))
        #expect(try await store.pixels(of: #require(jobs[2].source)) == embedded.source)
        let (table, text, mode) = try await DatabaseQueue(path: path).read { db in
            (
                try db.tableExists("source"),
                try String.fetchOne(
                    db, sql: "SELECT request FROM job WHERE instr(request, '\"png\"') > 0"),
                try Int.fetchOne(db, sql: "PRAGMA auto_vacuum")
            )
        }
        #expect(!table && text == nil)
        #expect(mode == 2, "the file shrinks when rows are removed")
    }

    @Test("a move into files that is interrupted is made again")
    func interruptedMigration() async throws {
        let (image, mask) = try plantOldDatabase()
        // The file of the mask cannot be stored: its folder is a file.
        let name = try ImageFiles(folder: folder.url.appending(path: "other")).store(mask)
        let obstacle = data.appending(path: "sources/\(name.prefix(2))")
        try FileManager.default.createDirectory(
            at: obstacle.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data().write(to: obstacle)
        #expect(throws: JobStoreError.self) { _ = try JobStore(folder: data) }
        let bytes = try await DatabaseQueue(path: path).read { db in
            try Int.fetchOne(db, sql: "SELECT SUM(length(image)) FROM source")
        }
        #expect(bytes == 2 * image.count)
        try FileManager.default.removeItem(at: obstacle)
        let store = try JobStore(folder: data)
        let job = try #require(try await store.jobs(JobQuery(.all)).last)
        #expect(try await store.pixels(of: #require(job.source)) == request(1, mask: 2).source)
    }

    @Test("a backup has the sources too, also that of an earlier version's folder")
    func backup() async throws {
        _ = try plantOldDatabase()
        let (old, new) = (folder.url.appending(path: "old"), folder.url.appending(path: "new"))
        _ = try JobBackup.copy(data, to: old)
        do {
            _ = try JobStore(folder: data)
            _ = try JobBackup.copy(data, to: new)
        }
        for copy in [old, new] {
            let store = try JobStore(folder: copy)
            let job = try #require(try await store.jobs(JobQuery(.all)).last)
            #expect(try await store.pixels(of: #require(job.source)) == request(1, mask: 2).source)
        }
    }

    // MARK: - Rows that cannot be read

    @Test("a row that cannot be read is listed as failed, and can be removed")
    func unreadable() async throws {
        let store = try JobStore(folder: data)
        var ids: [String] = []
        for _ in 0..<3 { ids.append(try await insert(try engine.request(), store).id) }
        try await store.finish(ids[0], JobEnd(.succeeded))
        let broken = [ids[0], ids[1]]
        try await DatabaseQueue(path: path).write { db in
            for id in broken {
                try db.execute(sql: "UPDATE job SET request = '{' WHERE id = ?", arguments: [id])
            }
        }
        let jobs = try await store.jobs(JobQuery(.all))
        #expect(jobs.map(\.id) == ids.reversed() && jobs[0].failure == nil)
        for job in jobs[1...] {
            #expect(job.state == .failed && job.failure == "The stored request cannot be read.")
            #expect(job.request.prompt == "a cat")
            #expect(try await store.job(job.id, for: .all) == job)
        }
        // One of them waits to be run: it fails.
        #expect(try await store.unfinished().map(\.id) == [ids[2]])
        #expect(try await store.remove(broken) == 2)
        #expect(try await store.jobs(JobQuery(.all)).map(\.id) == [ids[2]])
    }
}
