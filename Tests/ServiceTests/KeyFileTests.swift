// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Logging
import Service
import Synchronization
import Testing

/// A folder that has or had keys stays closed, whatever happens to their file.
@Suite("The file of API keys")
struct KeyFileTests {
    let folder: TemporaryFolder
    private var file: URL { folder.url.appending(path: "keys.json") }
    private var marker: URL { folder.url.appending(path: "keys.required") }

    init() throws { folder = try TemporaryFolder() }

    /// A store that looks at the file at every use.
    private func store(_ lines: LogLines = LogLines()) throws -> KeyStore {
        try KeyStore(
            folder: folder.url, logger: Logger(label: "test") { _ in lines }, interval: .zero)
    }

    private func isUnavailable(_ store: KeyStore, _ text: String?) -> Bool {
        if case .unavailable = store.admission(of: text) { true } else { false }
    }

    private func write(_ text: String) throws { try Data(text.utf8).write(to: file) }

    @Test("a key made again under an old name has another id")
    func ids() throws {
        let store = try store()
        let texts = try ["ann", "bob"].map { try store.add($0, scope: .generate) }
        let ids = store.keys.map(\.id)
        #expect(Set(ids).count == 2 && ids.allSatisfy { $0.hasPrefix("key-") && $0.count == 24 })
        #expect(try store.revoke("ann") == 1)
        let again = try store.add("ann", scope: .generate)
        let new = try #require(store.key(again))
        #expect(new.name == "ann" && !ids.contains(new.id))
        #expect(store.key(texts[0]) == nil && store.key(texts[1])?.id == ids[1])
        #expect(try self.store().keys == store.keys, "ids are stored")
    }

    @Test("a folder that never had keys is open, and closes with the first one")
    func opening() throws {
        let store = try store()
        #expect(store.admission(of: nil) == .open && store.admission(of: "x") == .open)
        #expect(!store.isRequired && !FileManager.default.fileExists(atPath: marker.path))
        let text = try KeyStore(folder: folder.url).add("ann", scope: .generate)
        #expect(store.isRequired && store.admission(of: nil) == .missing)
        #expect(store.admission(of: "x") == .unknown && store.key(text)?.name == "ann")
        for url in [file, marker] {
            let mode = try FileManager.default.attributesOfItem(atPath: url.path)[.posixPermissions]
            #expect(mode as? Int == 0o600)
        }
    }

    @Test("without its last key a folder stays closed, also for a server that starts then")
    func lastKey() throws {
        let store = try store()
        let text = try store.add("ann", scope: .generate)
        #expect(try store.revoke("ann") == 0)
        for store in [store, try self.store()] {
            #expect(store.isRequired && store.isEmpty && store.failure == nil)
            #expect(store.admission(of: nil) == .missing && store.admission(of: text) == .unknown)
        }
        for url in [file, marker] { try FileManager.default.removeItem(at: url) }
        #expect(isUnavailable(store, nil), "a running server does not open")
        #expect(try self.store().admission(of: nil) == .open, "a new one does")
    }

    @Test(
        "a file that is empty, damaged, without ids of its own, or away admits no request until it is back",
        arguments: [
            "", "[{", "null", #"{"name": "x"}"#, "gone", "dangling",
            #"[{"name":"","scope":"admin","digest":"0","created":"2026-01-01T00:00:00Z"}]"#,
            #"[{"name":" ","scope":"admin","digest":"0","created":"2026-01-01T00:00:00Z"}]"#,
        ])
    func damage(content: String) throws {
        let lines = LogLines()
        let store = try store(lines)
        let text = try store.add("ann", scope: .generate)
        let good = try Data(contentsOf: file)
        func away() throws {
            try FileManager.default.removeItem(at: file)
            guard content == "dangling" else { return }
            try FileManager.default.createSymbolicLink(
                at: file, withDestinationURL: folder.url.appending(path: "none"))
        }
        if ["gone", "dangling"].contains(content) { try away() } else { try write(content) }
        for _ in 0..<3 {
            #expect(isUnavailable(store, text) && isUnavailable(store, nil))
            #expect(isUnavailable(store, "x") && store.keys.isEmpty && store.isRequired)
        }
        #expect(store.failure?.contains(file.path) == true)
        #expect(lines.levels == [.error], "one line")
        if content == "gone" {
            let late = try self.store()
            #expect(isUnavailable(late, text), "a server that starts meanwhile")
            #expect(late.failure?.contains(marker.path) == true)
        } else {
            let error = #expect(throws: KeyError.self) { _ = try self.store() }
            #expect(error?.code == .file)
        }
        try? FileManager.default.removeItem(at: file)
        try good.write(to: file)
        #expect(store.key(text)?.name == "ann" && store.failure == nil)
        #expect(lines.levels == [.error, .notice])
    }

    @Test("two keys of one id are refused: one would see the other's jobs")
    func equalIDs() throws {
        let row =
            #"{"id":"key-1","name":"x","scope":"admin","digest":"0","created":"2026-01-01T00:00:00Z"}"#
        try write("[\(row),\(row)]")
        let error = #expect(throws: KeyError.self) { _ = try store() }
        #expect(error?.code == .file)
    }

    @Test("changes of two programs at once are all made")
    func concurrentChanges() async throws {
        let folder = folder
        _ = try store().add("first", scope: .admin)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    _ = try KeyStore(folder: folder.url).add("k\(number)", scope: .generate)
                }
            }
            try await group.waitForAll()
        }
        #expect(try store().keys.count == 9)
    }
}

/// Records the levels of a log's lines.
private struct LogLines: LogHandler {
    private final class Lines: Sendable {
        let levels = Mutex<[Logger.Level]>([])
    }

    private let lines = Lines()
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    var levels: [Logger.Level] { lines.levels.withLock { $0 } }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.levels.withLock { $0.append(event.level) } }
}
