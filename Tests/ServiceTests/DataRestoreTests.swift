// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import GRDB
import Parameters
import Service
import Testing

/// A backup takes the place of what is in a data folder, and nothing is lost.
@Suite("Restore")
struct DataRestoreTests {
    let folder: TemporaryFolder
    private let engine = FakeEngine()
    private var data: URL { folder.url.appending(path: "data") }
    private var backup: URL { folder.url.appending(path: "backup") }

    init() throws { folder = try TemporaryFolder() }

    /// Adds finished jobs to the data folder, each with an image.
    private func add(_ seeds: UInt64...) async throws {
        let store = try JobStore(folder: data)
        for seed in seeds {
            let id = try await store.plant(
                try engine.request("seed \(seed)", seed: seed), images: [0], engine: engine)
            try await store.finish(id, JobEnd(.succeeded))
        }
        try store.close()
    }

    /// The prompts of a folder's jobs, without those whose images are missing.
    private func prompts(_ folder: URL) async throws -> [String] {
        let store = try JobStore(folder: folder)
        let jobs = try await store.jobs(JobQuery(.all))
        try store.close()
        return jobs.filter { job in job.images.allSatisfy { store.files.read($0.file) != nil } }
            .map(\.request.prompt)
    }

    @Test("jobs and images are those of the backup; those of before are aside")
    func restore() async throws {
        try await add(1, 2)
        #expect(try JobBackup.copy(data, to: backup) == 2)
        try await add(3)
        try FileManager.default.createDirectory(
            at: data.appending(path: "loras"), withIntermediateDirectories: true)
        let result = try DataRestore.restore(backup, to: data)
        #expect(result.images == 2 && result.keys == .none)
        #expect(try await prompts(data) == ["seed 2", "seed 1"])
        #expect(try await prompts(backup) == ["seed 2", "seed 1"])
        let replaced = try #require(result.replaced)
        #expect(replaced.deletingLastPathComponent().path == data.path)
        #expect(try await prompts(replaced) == ["seed 3", "seed 2", "seed 1"])
        // The way back of the way back.
        _ = try DataRestore.restore(replaced, to: data)
        #expect(try await prompts(data) == ["seed 3", "seed 2", "seed 1"])
        #expect(FileManager.default.fileExists(atPath: data.appending(path: "loras").path))
    }

    @Test("a missing folder is made")
    func new() async throws {
        try await add(1)
        _ = try JobBackup.copy(data, to: backup)
        let other = folder.url.appending(path: "other/data")
        let result = try DataRestore.restore(backup, to: other)
        #expect(result.replaced == nil)
        #expect(try await prompts(other) == ["seed 1"])
    }

    @Test("a folder that a server uses is refused")
    func inUse() async throws {
        try await add(1)
        _ = try JobBackup.copy(data, to: backup)
        let store = try JobStore(folder: data)
        let error = #expect(throws: JobStoreError.self) {
            _ = try DataRestore.restore(backup, to: data)
        }
        #expect(error?.code == .inUse)
        #expect(try await store.jobs(JobQuery(.all)).count == 1)
    }

    @Test("what is not a backup is refused, and nothing changes")
    func refused() async throws {
        try await add(1)
        func code(_ backup: URL) -> JobStoreError.Code? {
            #expect(throws: JobStoreError.self) { _ = try DataRestore.restore(backup, to: data) }?
                .code
        }
        #expect(code(folder.url.appending(path: "nothing")) == .notFound)
        #expect(code(data) == .unusable)
        _ = try JobBackup.copy(data, to: backup)
        let file = backup.appending(path: "jobs.sqlite")
        let bytes = try Data(contentsOf: file)
        try Data(count: bytes.count).write(to: file)
        #expect(code(backup) == .damaged)
        try bytes.write(to: file)
        try await DatabaseQueue(path: file.path).write {
            try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99 of the future')")
        }
        #expect(code(backup) == .newer)
        #expect(
            try EarlierFolder.names(in: data).allSatisfy {
                !$0.hasPrefix("restoring") && !$0.hasPrefix("replaced")
            })
        #expect(try await prompts(data) == ["seed 1"])
    }

    @Test("a folder that had keys stays closed, whatever the backup has")
    func keys() async throws {
        try await add(1)
        _ = try JobBackup.copy(data, to: backup)
        let ann = try KeyStore(folder: data).add("ann", scope: .generate)
        #expect(try DataRestore.restore(backup, to: data).keys == .retained)
        #expect(try KeyStore(folder: data).key(ann)?.name == "ann")
        let second = folder.url.appending(path: "second")
        _ = try JobBackup.copy(data, to: second)
        let bob = try KeyStore(folder: data).add("bob", scope: .generate)
        #expect(try DataRestore.restore(second, to: data).keys == .restored)
        let keys = try KeyStore(folder: data)
        #expect(keys.key(ann) != nil && keys.key(bob) == nil && keys.isRequired)
    }

    @Test("no server starts where a restore was interrupted, and it can be run again")
    func interrupted() async throws {
        try await add(1)
        _ = try KeyStore(folder: data).add("ann", scope: .generate)
        _ = try JobBackup.copy(data, to: backup)
        try await add(2)
        // The program ended after some of the old files were moved, and some of the new ones.
        let files = FileManager.default
        let (copy, aside) = (
            data.appending(path: "restoring/copy"), data.appending(path: "replaced-1")
        )
        for url in [copy, aside] {
            try files.createDirectory(at: url, withIntermediateDirectories: true)
        }
        try files.moveItem(
            at: data.appending(path: "jobs.sqlite"), to: aside.appending(path: "jobs.sqlite"))
        try files.moveItem(
            at: data.appending(path: "keys.json"), to: aside.appending(path: "keys.json"))
        let error = #expect(throws: JobStoreError.self) { _ = try JobStore(folder: data) }
        #expect(error?.code == .damaged && error?.message.contains("interrupted") == true)
        let check = DataFolderCheck(data).run().findings
        #expect(check.contains { $0.severity == .problem && $0.text.hasPrefix("restore: ") })
        _ = try DataRestore.restore(backup, to: data)
        #expect(try await prompts(data) == ["seed 1"])
        #expect(try KeyStore(folder: data).keys.map(\.name) == ["ann"])
        #expect(!files.fileExists(atPath: data.appending(path: "restoring").path))
        #expect(files.fileExists(atPath: aside.appending(path: "jobs.sqlite").path))
    }
}
