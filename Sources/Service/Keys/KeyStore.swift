// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Engine
public import Foundation
import Imaging
import Synchronization

/// The keys of a data folder, in the file `keys.json` that only its owner may read.
///
/// The file is read again when it has changed: a key that is revoked on the command line is refused
/// by a running server within a second.
public final class KeyStore: Sendable {
    private struct State {
        var keys: [APIKey] = []
        var stamp: Stamp?
        var checked: ContinuousClock.Instant?
    }

    /// Identifies a version of the file.
    private struct Stamp: Equatable {
        var modified: Date
        var size: Int
        var number: Int
    }

    private let url: URL
    private let state = Mutex(State())

    /// The keys of a data folder; there may be none.
    ///
    /// - Throws: `KeyError` of code `file` when there is a file that cannot be read.
    public init(folder: URL) throws {
        url = folder.appending(path: "keys.json")
        try state.withLock { try load(&$0) }
    }

    /// All keys, in the order in which they were made.
    public var keys: [APIKey] {
        state.withLock { state in
            refresh(&state)
            return state.keys
        }
    }

    /// Whether there are no keys, and requests need none.
    public var isEmpty: Bool { keys.isEmpty }

    /// The key that this text is, if it is one.
    public func key(_ text: String) -> APIKey? {
        let shown = Array(SHA256.hexadecimal(Array(text.utf8)).utf8)
        // Every digest is compared whole: how long it takes says nothing about any of them.
        var found: APIKey?
        for key in keys where isEqualInConstantTime(Array(key.digest.utf8), shown) { found = key }
        return found
    }

    /// Makes a key and returns it; it cannot be had a second time.
    ///
    /// - Throws: `KeyError`.
    public func add(
        _ name: String, scope: APIKey.Scope, concurrency: Int? = nil, perMinute: Int? = nil,
        priority: Priority? = nil
    ) throws -> String {
        guard name.isPlainName(atMost: 64, notBeginningWith: "") else {
            throw KeyError(
                code: .name,
                message: "A key's name must be 1 to 64 letters, digits, '-', '_' or '.', got"
                    + " '\(name)'.")
        }
        let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        // The system's generator is a cryptographic one.
        var generator = SystemRandomNumberGenerator()
        let text =
            "ink-"
            + String(
                (0..<40).map { _ in letters[Int.random(in: 0..<letters.count, using: &generator)] })
        try change { keys in
            guard !keys.contains(where: { $0.name == name }) else {
                throw KeyError(
                    code: .name,
                    message: "There is a key '\(name)' already; choose another name, or revoke it"
                        + " first.")
            }
            keys.append(
                APIKey(
                    name: name, scope: scope, concurrency: concurrency, perMinute: perMinute,
                    priority: priority, digest: SHA256.hexadecimal(Array(text.utf8)),
                    created: Date()))
        }
        return text
    }

    /// Takes a key out of use.
    ///
    /// - Throws: `KeyError`.
    public func revoke(_ name: String) throws {
        try change { keys in
            let count = keys.count
            keys.removeAll { $0.name == name }
            guard keys.count < count else {
                throw KeyError(
                    code: .name,
                    message: "There is no key '\(name)'; known are"
                        + " \(keys.isEmpty ? "none" : keys.map(\.name).joined(separator: ", ")).")
            }
        }
    }

    // MARK: - The file

    private func change(_ body: (inout [APIKey]) throws -> Void) throws {
        try state.withLock { state in
            try load(&state)
            var keys = state.keys
            try body(&keys)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            encoder.dateEncodingStrategy = .iso8601
            let bytes = [UInt8](try encoder.encode(keys)) + [10]
            do {
                if !FileManager.default.fileExists(atPath: url.path) {
                    // The mode of a file that is there is kept.
                    _ = FileManager.default.createFile(
                        atPath: url.path, contents: Data("[]".utf8),
                        attributes: [.posixPermissions: 0o600])
                }
                try ImageFile.writeAtomically(bytes, to: url.path)
            } catch {
                throw KeyError(
                    code: .file,
                    message: "The file of keys '\(url.path)' cannot be written: \(error)")
            }
            try load(&state)
        }
    }

    /// Reads the file again when it has changed, at most once a second; keys that cannot be read
    /// stay as they were.
    private func refresh(_ state: inout State) {
        if let checked = state.checked, .now - checked < .seconds(1) { return }
        state.checked = .now
        if stamp() != state.stamp { try? load(&state) }
    }

    private func load(_ state: inout State) throws {
        state.checked = .now
        let stamp = stamp()
        guard stamp != nil else {
            (state.keys, state.stamp) = ([], nil)
            return
        }
        do {
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            state.keys = try decoder.decode([APIKey].self, from: try Data(contentsOf: url))
            state.stamp = stamp
        } catch {
            throw KeyError(
                code: .file,
                message: "The file of keys '\(url.path)' cannot be read; correct it, or remove it"
                    + " and make new keys.")
        }
    }

    private func stamp() -> Stamp? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: url.path),
            let modified = attributes[.modificationDate] as? Date
        else { return nil }
        return Stamp(
            modified: modified, size: attributes[.size] as? Int ?? 0,
            number: attributes[.systemFileNumber] as? Int ?? 0)
    }
}
