// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import GRDB
import ModelFiles
import Service
import Testing

/// What `inkstone doctor` finds in a data folder, in states that crashes, disks and upgrades leave.
@Suite("Check of a data folder")
struct DataFolderCheckTests {
    let folder: TemporaryFolder
    private let engine = FakeEngine()
    private var data: URL { folder.url.appending(path: "data") }
    private var sockets: URL { folder.url.appending(path: "s") }

    init() throws {
        folder = try TemporaryFolder()
        try FileManager.default.createDirectory(at: sockets, withIntermediateDirectories: true)
    }

    private func check(_ folder: URL? = nil) -> DataFolderCheck.Report {
        DataFolderCheck(folder ?? data, temporaryFolder: sockets).run()
    }

    /// The findings that are not good, as text.
    private func findings(_ folder: URL? = nil) -> [String] {
        check(folder).findings.filter { $0.severity != .good }.map {
            "\($0.severity) \($0.text)"
        }
    }

    /// Expects one finding besides the good ones.
    private func expectOnly(
        _ severity: CheckFinding.Severity, _ texts: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = findings()
        #expect(found.count == 1, "\(found)", sourceLocation: sourceLocation)
        for text in ["\(severity) "] + texts {
            #expect(
                found.first?.contains(text) == true, "\(found)", sourceLocation: sourceLocation)
        }
    }

    /// Leaves a folder with a finished job that has an image, after a regular end.
    @discardableResult
    private func makeFolder() async throws -> (job: String, image: URL) {
        let store = try JobStore(folder: data)
        let id = try await store.plant(try engine.request(), images: [0], engine: engine)
        try await store.finish(id, JobEnd(.succeeded))
        let file = try #require(try await store.job(id, for: .all)?.images.first?.file)
        try store.close()
        return (id, data.appending(path: "pictures/\(file.prefix(2))/\(file).png"))
    }

    /// Makes a folder in the data folder that others cannot read.
    private func makeFolder(named name: String) throws {
        try FileManager.default.createDirectory(
            at: data.appending(path: name), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
    }

    private func change(_ sql: String) throws {
        let database = try DatabaseQueue(path: data.appending(path: "jobs.sqlite").path)
        try database.write { try $0.execute(sql: sql) }
        try database.close()
    }

    // MARK: - Regular states

    @Test("a folder that does not exist, one after a regular end, and a file")
    func regular() async throws {
        #expect(findings() == [])
        #expect(check().findings.first?.text.contains("does not exist yet") == true)
        #expect(!FileManager.default.fileExists(atPath: data.path))
        try await makeFolder()
        #expect(findings() == [])
        #expect(!check().isInUse)
        let file = folder.url.appending(path: "file")
        try Data().write(to: file)
        #expect(findings(file).first?.contains("expected a folder") == true)
    }

    @Test("a folder that a server uses is only read, and work in progress is not reported")
    func inUse() async throws {
        let store = try JobStore(folder: data)
        _ = try await store.plant(try engine.request(), images: [0], engine: engine)
        // A file whose row is about to be added.
        _ = try store.files.store([1, 2, 3])
        let report = check()
        #expect(report.isInUse)
        #expect(findings() == [])
        #if os(Linux)
            #expect(report.findings[0].text.contains("process \(getpid());"))
        #endif
        #expect(report.findings.contains { $0.text == "jobs: 1, running 1, waiting 0" })
        try store.close()
        // It was not kept from starting again.
        withExtendedLifetime(store) {}
    }

    // MARK: - After a crash

    @Test("a killed server's folder: what runs again, what is removed, and that nothing is lost")
    func killed() async throws {
        let store = try JobStore(folder: data)
        let again = try await store.plant(try engine.request(), images: [0], engine: engine)
        _ = try await store.insert(try engine.request(), model: "example", Submission())
        let hopeless = try await store.plant(try engine.request(), images: [], engine: engine)
        for _ in 0..<2 { try await store.start(hopeless) }
        _ = try store.files.store([1, 2, 3])
        let files = FileManager.default
        try makeFolder(named: "loras")
        for name in [".reserve-1.tmp", "loras/.upload-1", "pictures/00/.image-1.tmp"] {
            let url = data.appending(path: name)
            try files.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(count: 5000).write(to: url)
        }
        // The files of a process at the moment of its end.
        let crashed = folder.url.appending(path: "crashed")
        try files.copyItem(at: data, to: crashed)
        try store.close()
        let before = try EarlierFolder.names(in: crashed)
        let report = check(crashed)
        #expect(report.findings[0].text.contains("its last server was killed"))
        let found = findings(crashed)
        #expect(found.count == 3 && found.allSatisfy { $0.hasPrefix("note ") }, "\(found)")
        #expect(
            found.contains {
                $0.contains("jobs: 3, at the next start run again: 1, cancelled, since ")
                    && $0.contains("gone: 1, given up after 3 crashes: 1")
            }, "\(found)")
        #expect(
            found.contains {
                $0.contains("images: files without a job") && $0.contains("killed: 2,")
            }, "\(found)")
        #expect(
            found.contains { $0.contains("left over: ") && $0.contains("written: 2,") }, "\(found)")
        #expect(try EarlierFolder.names(in: crashed) == before)
        // The next start does what was said.
        do {
            let next = try JobStore(folder: crashed)
            let ended = try await next.endInterrupted(attempts: 3)
            #expect(ended.cancelled == 1 && ended.givenUp == 1)
            #expect(try await next.unfinished().map(\.id) == [again])
            #expect(try await next.sweep().removed == 1)
            try next.close()
        }
        let after = findings(crashed)
        #expect(
            after.count == 3 && after[0].contains("run again: 1") && after[1].contains(hopeless)
                && after[2].contains("loras/.upload-1"), "\(after)")
    }

    @Test("sockets of killed servers")
    func leftSockets() throws {
        // A short path: the system limits those of sockets.
        let parent = URL(filePath: "/tmp/ink-\(UUID().uuidString.prefix(8))")
        defer { try? FileManager.default.removeItem(at: parent) }
        let left = parent.appending(path: "inkstone-abc123")
        try FileManager.default.createDirectory(at: left, withIntermediateDirectories: true)
        try Data().write(to: left.appending(path: "lock"))
        let live = try FileLock(left.appending(path: "lock"), timeout: 1)
        try makeFolder(named: "")
        let check = DataFolderCheck(data, temporaryFolder: parent)
        #expect(check.run().findings.allSatisfy { $0.severity == .good })
        withExtendedLifetime(live) {}
        try FileManager.default.removeItem(at: left.appending(path: "lock"))
        try Data().write(to: left.appending(path: "lock"))
        let found = check.run().findings.filter { $0.severity != .good }
        #expect(found.count == 1 && found[0].severity == .note)
        #expect(found.first?.text.contains(left.path) == true)
    }

    @Test("files that are missing or cut off")
    func files() async throws {
        let (job, image) = try await makeFolder()
        try Data([1]).write(to: image)
        expectOnly(.problem, "files of a job are missing or cut off", job)
        try FileManager.default.removeItem(at: image)
        expectOnly(.problem, "files of a job are missing or cut off", job)
    }

    // MARK: - Keys and modes

    @Test("keys that admit no request, and a secret that ends the start")
    func keys() async throws {
        try await makeFolder()
        _ = try KeyStore(folder: data).add("ann", scope: .generate)
        #expect(findings() == [])
        #expect(check().findings.contains { $0.text == "keys: 1" })
        let file = data.appending(path: "keys.json")
        let bytes = try Data(contentsOf: file)
        try Data("{".utf8).write(to: file)
        expectOnly(.problem, "keys: no request is admitted", file.path)
        try Data("[]".utf8).write(to: file)
        expectOnly(.problem, "keys: none left", "inkstone keys add")
        try FileManager.default.removeItem(at: file)
        expectOnly(.problem, "keys: '\(file.path)' is missing")
        for (name, bytes) in [("keys.json", bytes), ("link-secret", Data([1, 2]))] {
            _ = FileManager.default.createFile(
                atPath: data.appending(path: name).path, contents: bytes,
                attributes: [.posixPermissions: 0o600])
        }
        expectOnly(.problem, "does not have 32 bytes")
    }

    @Test("files that others can read, and what the next start does about it")
    func modes() async throws {
        try await makeFolder()
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: data.path)
        expectOnly(.note, "mode: other users can read '\(data.path)'", "next start")
        _ = try DataFolder.open(data)
        #expect(findings() == [])
    }

    // MARK: - Versions

    @Test("a folder before, during and after its upgrade")
    func upgrade() async throws {
        _ = try EarlierFolder(data)
        _ = try DataFolder.open(data)
        let before = findings()
        #expect(before.count == 3, "\(before)")
        #expect(before[0].hasPrefix("note upgrade: the folder is of an earlier version"))
        #expect(before[1].hasPrefix("note jobs: 8, at the next start run again: 2"))
        #expect(before[2].hasPrefix("note space: there is no reserve"))
        try JobStore(folder: data).close()
        let after = findings()
        #expect(after.count == 2, "\(after)")
        #expect(after[1].contains("inkstone restore \(data.path)/before-upgrade"))
        let file = data.appending(path: "before-upgrade/upgrade.json")
        let record = try String(contentsOf: file, encoding: .utf8)
        try Data(record.replacing("true", with: "false").utf8).write(to: file)
        #expect(findings().contains { $0.contains("interrupted; the next start continues it") })
        try change("INSERT INTO grdb_migrations VALUES ('99 of the future')")
        #expect(
            findings().contains {
                $0.hasPrefix("problem jobs: the database was written by a newer version")
                    && $0.contains("go back to the copy")
            })
    }

    @Test("jobs that were given up, what a restore has replaced, and a full disk's reserve")
    func notes() async throws {
        let (job, _) = try await makeFolder()
        try change("UPDATE job SET givenUp = 1")
        expectOnly(.note, "jobs: given up earlier: 1", job)
        try change("UPDATE job SET givenUp = 0")
        let backup = folder.url.appending(path: "backup")
        _ = try JobBackup.copy(data, to: backup)
        let replaced = try #require(try DataRestore.restore(backup, to: data).replaced)
        expectOnly(.note, "old files: '\(replaced.path)'", "by a restore")
        try FileManager.default.removeItem(at: replaced)
        try FileManager.default.removeItem(at: data.appending(path: "reserve"))
        expectOnly(.note, "there is no reserve")
    }
}
