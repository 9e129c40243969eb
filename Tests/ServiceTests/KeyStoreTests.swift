// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Service
import Testing

/// Keys on the disk and in use.
@Suite("API keys")
struct KeyStoreTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("a key is made, known, found by another process, and revoked")
    func life() throws {
        let store = try KeyStore(folder: folder.url)
        #expect(store.isEmpty)
        let text = try store.add("ann", scope: .generate, concurrency: 2)
        #expect(text.hasPrefix("ink-") && text.count == 44)
        let file = folder.url.appending(path: "keys.json")
        #expect(!(try String(contentsOf: file, encoding: .utf8)).contains(text))
        let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        let other = try KeyStore(folder: folder.url)
        #expect(other.key(text)?.name == "ann" && other.key(text)?.concurrency == 2)
        for wrong in ["", "ink-", String(text.dropLast()), text + "x"] {
            #expect(other.key(wrong) == nil)
        }
        try other.revoke("ann")
        #expect(try KeyStore(folder: folder.url).key(text) == nil)
    }

    @Test("a running server hears of a change")
    func reload() async throws {
        let server = try KeyStore(folder: folder.url)
        let text = try KeyStore(folder: folder.url).add("bob", scope: .admin)
        let end = ContinuousClock.now + .seconds(10)
        while server.key(text) == nil, .now < end { try await Task.sleep(for: .milliseconds(50)) }
        #expect(server.key(text)?.scope == .admin)
    }

    @Test("names are taken once and have a form", arguments: ["", "a b", "a/b", "ann"])
    func names(name: String) throws {
        let store = try KeyStore(folder: folder.url)
        _ = try store.add("ann", scope: .admin)
        let error = #expect(throws: KeyError.self) { _ = try store.add(name, scope: .admin) }
        #expect(error?.code == .name)
        #expect(throws: KeyError.self) { try store.revoke("none") }
    }

    @Test("a damaged file does not disable keys")
    func damaged() throws {
        try Data("[{".utf8).write(to: folder.url.appending(path: "keys.json"))
        let error = #expect(throws: KeyError.self) { _ = try KeyStore(folder: folder.url) }
        #expect(error?.code == .file)
    }

    @Test("limits of a key: at once, and within a minute")
    func usage() throws {
        let store = try KeyStore(folder: folder.url)
        _ = try store.add("ann", scope: .generate, concurrency: 2, perMinute: 3)
        let key = try #require(store.keys.first)
        let (usage, now) = (KeyUsage(), ContinuousClock.now)
        #expect(usage.begin(key, now: now) == nil)
        #expect(usage.begin(key, now: now) == nil)
        #expect(usage.begin(key, now: now) == .concurrency(2))
        usage.end(key)
        #expect(usage.begin(key, now: now + .seconds(10)) == nil)
        usage.end(key)
        #expect(usage.begin(key, now: now + .seconds(20)) == .rate(3, wait: 40))
        #expect(usage.begin(key, now: now + .seconds(61)) == nil)
    }

    @Test("what a key has at other gateways counts, too")
    func elsewhere() throws {
        let store = try KeyStore(folder: folder.url)
        _ = try store.add("ann", scope: .generate, concurrency: 2, perMinute: 3)
        let key = try #require(store.keys.first)
        let (usage, now) = (KeyUsage(), ContinuousClock.now)
        let busy = KeyUsage.Elsewhere(running: 2)
        #expect(usage.begin(key, elsewhere: busy, now: now) == .concurrency(2))
        let lively = KeyUsage.Elsewhere(recent: [.seconds(50), .seconds(20)])
        #expect(usage.begin(key, elsewhere: lively, now: now) == nil)
        usage.end(key)
        #expect(usage.begin(key, elsewhere: lively, now: now) == .rate(3, wait: 10))
    }
}
