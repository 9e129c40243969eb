// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import GRDB
import Imaging
import Parameters
import Service
import Testing

/// The data folder of an earlier version is upgraded once, and there is a way back.
@Suite("Upgrade and way back", .timeLimit(.minutes(5)))
struct UpgradeTests {
    let folder: TemporaryFolder
    private var data: URL { folder.url.appending(path: "data") }
    private var copy: URL { data.appending(path: "before-upgrade") }

    init() throws { folder = try TemporaryFolder() }

    /// The version 0.1, and the states before the two newest migrations.
    static let versions: [String?] = [
        nil, "6 source images as files", "7 detached jobs and codes of failures",
    ]

    /// The jobs that a server sees, and whether it has their images.
    private func jobs(_ store: JobStore) async throws -> [String] {
        try await store.jobs(JobQuery(.all)).map { job in
            let images = job.images.map { store.files.read($0.file) == nil ? "lost" : $0.file }
            return "\(job.id) \(job.state) \(job.request.prompt) \(images)"
        }
    }

    /// Opens the folder, as a server does when it starts, and closes it.
    private func start() async throws -> (upgrade: UpgradeCopy?, jobs: [String]) {
        let store = try JobStore(folder: data)
        let found = (store.upgrade, try await jobs(store))
        try store.close()
        return found
    }

    private func record() throws -> UpgradeCopy.Record {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(
            UpgradeCopy.Record.self,
            from: try Data(contentsOf: copy.appending(path: "upgrade.json")))
    }

    @Test(
        "a folder is upgraded once; restored from the copy of before, it is upgraded to the same",
        arguments: versions)
    func wayBack(version: String?) async throws {
        let earlier = try EarlierFolder(data, upTo: version)
        let before = try EarlierFolder.rows(of: data)
        let first = try await start()
        #expect(first.upgrade?.url == copy)
        #expect(first.jobs.count == 8 && first.jobs.allSatisfy { !$0.contains("lost") })
        for image in earlier.images { #expect(first.jobs.contains { $0.contains(image) }) }
        let after = try EarlierFolder.rows(of: data)
        #expect(after["schema"] != before["schema"])
        // The copy is the folder of before, row by row.
        #expect(try EarlierFolder.rows(of: copy) == before)
        #expect(
            try Data(contentsOf: copy.appending(path: "keys.json"))
                == Data(try StoredFormatTests.bytes("keys.json")))
        let record = try record()
        #expect(
            record.isComplete && "\(record.migrations.count)" == String(version?.prefix(1) ?? "4"))
        let files = try ImageFiles(folder: copy.appending(path: "pictures"))
        for image in earlier.images { #expect(files.read(image) != nil) }
        #expect(try DataFolder.open(data) == [])
        let mode = try FileManager.default.attributesOfItem(atPath: copy.path)[.posixPermissions]
        #expect(mode as? Int == 0o700)

        // A second start has nothing to do.
        let second = try await start()
        #expect(second.upgrade == nil && second.jobs == first.jobs)
        #expect(try self.record() == record)

        let restored = try DataRestore.restore(copy, to: data)
        #expect(restored.images == earlier.images.count && restored.keys == .restored)
        #expect(try EarlierFolder.rows(of: data) == before)
        let replaced = try #require(restored.replaced)
        #expect(try EarlierFolder.rows(of: replaced) == after)
        let third = try await start()
        #expect(third.upgrade != nil && third.jobs == first.jobs)
        #expect(try EarlierFolder.rows(of: data) == after)
        #expect(try EarlierFolder.rows(of: copy) == before)
    }

    @Test("a new folder has no copy")
    func new() async throws {
        #expect(try await start().upgrade == nil)
        #expect(try await start().upgrade == nil)
        #expect(!FileManager.default.fileExists(atPath: copy.path))
    }

    // MARK: - Interruptions

    @Test("an upgrade that is interrupted between two migrations retains the copy of before")
    func interrupted() async throws {
        _ = try EarlierFolder(data)
        let before = try EarlierFolder.rows(of: data)
        // The sixth migration cannot store the files of sources: their folders are files.
        let sources = data.appending(path: "sources")
        try FileManager.default.createDirectory(at: sources, withIntermediateDirectories: true)
        let obstacles = (0..<256).map { number in
            let digits = String(number, radix: 16)
            return sources.appending(path: digits.count == 1 ? "0" + digits : digits)
        }
        for obstacle in obstacles { try Data().write(to: obstacle) }
        #expect(throws: JobStoreError.self) { _ = try JobStore(folder: data) }
        #expect(try EarlierFolder.migrations(of: data).count == 5)
        #expect(try !record().isComplete)
        #expect(try EarlierFolder.rows(of: copy) == before)
        for obstacle in obstacles { try FileManager.default.removeItem(at: obstacle) }
        let next = try await start()
        #expect(next.upgrade != nil && next.jobs.count == 8)
        #expect(try EarlierFolder.rows(of: copy) == before, "not what the first start had left")
        #expect(try record().isComplete)
    }

    @Test("a copy that was made, but nothing upgraded, is made again with what changed meanwhile")
    func interruptedBefore() async throws {
        _ = try EarlierFolder(data)
        _ = try await start()
        _ = try DataRestore.restore(copy, to: data)
        // As if the process had ended after the copy, and the earlier version had run then.
        var record = try record()
        record.isComplete = false
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        try encoder.encode(record).write(to: copy.appending(path: "upgrade.json"))
        try await DatabaseQueue(path: data.appending(path: "jobs.sqlite").path).write { db in
            try db.execute(sql: "UPDATE job SET prompt = 'later' WHERE number = 1")
        }
        for name in ["before-upgrade.partial-next.partial-1", "before-upgrade.partial-old"] {
            try FileManager.default.createDirectory(
                at: data.appending(path: name), withIntermediateDirectories: true)
        }
        let before = try EarlierFolder.rows(of: data)
        #expect(try await start().upgrade != nil)
        #expect(try EarlierFolder.rows(of: copy) == before)
        #expect(try EarlierFolder.names(in: data).allSatisfy { !$0.contains("partial") })
    }

    @Test("an upgrade whose end was not recorded is recorded by the next start")
    func unrecorded() async throws {
        _ = try EarlierFolder(data)
        _ = try await start()
        let rows = try EarlierFolder.rows(of: copy)
        var record = try record()
        record.isComplete = false
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        try encoder.encode(record).write(to: copy.appending(path: "upgrade.json"))
        #expect(try await start().upgrade != nil)
        #expect(try self.record().isComplete && EarlierFolder.rows(of: copy) == rows)
        #expect(try await start().upgrade == nil)
    }

    @Test(
        "a full disk stops the start before anything changes",
        .enabled(if: SmallDisk.isPossible, SmallDisk.reason))
    func fullDisk() async throws {
        let disk = try SmallDisk(bytes: 8 << 20)
        defer { disk.unmount() }
        let data = disk.url.appending(path: "data")
        _ = try EarlierFolder(data)
        let before = try EarlierFolder.rows(of: data)
        try disk.fill()
        let first = #expect(throws: JobStoreError.self) { _ = try JobStore(folder: data) }
        #expect(first?.code == .full, "\(first?.message ?? "")")
        // The database can be opened, but not copied and upgraded.
        try disk.fill(leaving: 400_000)
        let error = #expect(throws: JobStoreError.self) { _ = try JobStore(folder: data) }
        #expect(error?.code == .full)
        #expect(error?.message.contains("Nothing was changed") == true)
        #expect(error?.message.contains("MB are free") == true, "\(error?.message ?? "")")
        #expect(!FileManager.default.fileExists(atPath: data.path + "/before-upgrade"))
        try disk.empty()
        #expect(try EarlierFolder.rows(of: data) == before)
        #expect(try JobStore(folder: data).upgrade != nil)
    }

    // MARK: - Afterwards

    @Test("an image that is removed is removed from the copy, and the copy after a while")
    func removal() async throws {
        let earlier = try EarlierFolder(data)
        let store = try JobStore(folder: data)
        let id = try #require(
            try await store.jobs(JobQuery(.all)).first { !$0.images.isEmpty }?.id)
        let job = try #require(try await store.job(id, for: .all))
        #expect(try await store.remove([id]) == 1)
        let files = try ImageFiles(folder: copy.appending(path: "pictures"))
        for image in job.images { #expect(files.read(image.file) == nil) }
        #expect(earlier.images.filter { files.read($0) != nil }.count == 4 - job.images.count)
        #expect(await !store.removeUpgradeCopy(olderThan: 0), "not within a day")
        var record = try record()
        record.made -= 3 * 86_400
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        try encoder.encode(record).write(to: copy.appending(path: "upgrade.json"))
        #expect(await !store.removeUpgradeCopy(olderThan: 7 * 86_400))
        #expect(await store.removeUpgradeCopy(olderThan: 2 * 86_400))
        #expect(!FileManager.default.fileExists(atPath: copy.path))
    }

    @Test("a program that is too old for the folder says how to go back")
    func tooOld() async throws {
        _ = try EarlierFolder(data)
        _ = try await start()
        // As a newer version would leave it.
        let database = try DatabaseQueue(path: data.appending(path: "jobs.sqlite").path)
        try await database.write {
            try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99 of the future')")
        }
        try database.close()
        let error = #expect(throws: JobStoreError.self) { _ = try JobStore(folder: data) }
        #expect(error?.code == .newer)
        #expect(error?.message.contains("inkstone restore \(copy.path)") == true)
        _ = try DataRestore.restore(copy, to: data)
        #expect(try await start().jobs.count == 8)
    }
}
