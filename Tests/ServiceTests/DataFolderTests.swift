// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Service
import Testing

/// What other users of the machine can read of a data folder.
@Suite("Data folder")
struct DataFolderTests {
    let folder: TemporaryFolder
    private let engine = FakeEngine()
    private var data: URL { folder.url.appending(path: "data") }

    init() throws { folder = try TemporaryFolder() }

    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(
            atPath: data.appending(path: path).path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    private func setMode(_ path: String, _ mode: Int) throws {
        try FileManager.default.setAttributes(
            [.posixPermissions: mode], ofItemAtPath: data.appending(path: path).path)
    }

    /// Everything in the folder that group or others have access to.
    private func open() throws -> [String] {
        let names = FileManager.default.enumerator(atPath: data.path)?.compactMap { $0 as? String }
        return try ([""] + (names ?? [])).filter { try mode($0) & 0o077 != 0 }
    }

    @Test("a folder that existed with mode 0755, and the files in it, are closed to others")
    func existing() async throws {
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
        // As an earlier version left it.
        var image = ""
        do {
            let store = try JobStore(folder: data)
            _ = try KeyStore(folder: data).add("ann", scope: .generate)
            _ = try await store.insert(
                try engine.request("a secret"), model: "example", Submission())
            image = try store.files.store([1, 2, 3])
        }
        let old = ["jobs.sqlite", "keys.json", "lock"]
        for name in old { try setMode(name, 0o644) }
        for name in ["", "pictures", "pictures/\(image.prefix(2))"] { try setMode(name, 0o755) }
        try FileManager.default.createDirectory(
            at: data.appending(path: "loras"), withIntermediateDirectories: true)

        let store = try JobStore(folder: data)
        #expect(store.warnings == [])
        _ = try LinkSigner(folder: data)
        _ = try await store.insert(try engine.request("another"), model: "example", Submission())
        _ = try store.files.store([4, 5, 6])
        #expect(try mode("") == 0o700 && mode("pictures") == 0o700 && mode("loras") == 0o700)
        for name in old + ["jobs.sqlite-wal", "jobs.sqlite-shm", "link-secret"] {
            #expect(try mode(name) == 0o600, "\(name)")
        }
        // Nothing is open but what is in a folder that is closed.
        #expect(try open() == ["pictures/\(image.prefix(2))"])
    }

    @Test("a new folder and all files of a store have no access for others")
    func new() async throws {
        let store = try JobStore(folder: data)
        _ = try KeyStore(folder: data).add("ann", scope: .generate)
        _ = try LinkSigner(folder: data)
        _ = try await store.insert(try engine.request("a cat"), model: "example", Submission())
        _ = try store.files.store([1, 2, 3])
        #expect(try open() == [])
    }

    @Test("a backup has no access for others")
    func backup() async throws {
        let source = folder.url.appending(path: "source")
        let store = try JobStore(folder: source)
        _ = try LinkSigner(folder: source)
        _ = try await store.insert(try engine.request("a cat"), model: "example", Submission())
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o644],
            ofItemAtPath: source.appending(path: "link-secret").path)
        _ = try JobBackup.copy(source, to: data)
        #expect(try open() == [])
        #expect(
            try Data(contentsOf: data.appending(path: "link-secret"))
                == Data(contentsOf: source.appending(path: "link-secret")))
    }

    @Test("what belongs to another user is reported", .enabled(if: geteuid() == 0))
    func foreign() throws {
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
        #expect(chown(data.path, 12345, 12345) == 0)
        try setMode("", 0o755)
        let warnings = try DataFolder.open(data)
        #expect(warnings.count == 1 && warnings[0].contains("another user"))
        #expect(try mode("") == 0o755)
        // A volume that its owner shares with the group of the service.
        try setMode("", 0o770)
        #expect(try DataFolder.open(data) == [])
    }
}
