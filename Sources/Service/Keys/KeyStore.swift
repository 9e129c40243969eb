// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Engine
public import Foundation
public import Logging
import Synchronization

/// The keys of a data folder.
///
/// Their file is read again when it has changed: a key that is revoked on the command line is refused by a
/// running server within a second.
///
/// A folder with a file of keys is closed: every request needs one of its keys, and if it has none, or cannot be
/// read, no request is admitted. A running server stays closed when the file disappears, and so does one that
/// is started afterwards. To open the folder again, `keys.json` and `keys.required` are removed from it while
/// no server uses it.
public final class KeyStore: Sendable {
    /// The permission of a request by its key.
    public enum Admission: Sendable, Equatable {
        /// The service requires no keys.
        case open
        /// The request has this key.
        case key(APIKey)
        /// The request has no key.
        case missing
        /// The request's key is not known, or was revoked.
        case unknown
        /// The keys cannot be read, so that no request is admitted; the reason, for the operator.
        case unavailable(String)
    }

    private struct State {
        var keys: [APIKey] = []
        var stamp = KeyFile.Stamp.missing
        var checked: ContinuousClock.Instant?
        /// Whether a key is needed; never reset.
        var isClosed = false
        /// Why the keys cannot be read.
        var failure: String?
    }

    private let file: KeyFile
    private let logger: Logger
    private let interval: Duration
    private let state = Mutex(State())

    /// The keys of a data folder; there may be none.
    ///
    /// - Parameters:
    ///   - folder: The data folder.
    ///   - logger: Receives a line when the keys cannot be read, and when they can be read again.
    /// - Throws: `KeyError` of code `file` when there is a file that cannot be read.
    public convenience init(
        folder: URL, logger: Logger = Logger(label: "inkstone.keys")
    ) throws {
        try self.init(folder: folder, logger: logger, interval: .seconds(1))
    }

    /// The keys of a data folder whose file is looked at again after `interval`.
    package init(folder: URL, logger: Logger, interval: Duration) throws {
        file = KeyFile(folder: folder)
        self.logger = logger
        self.interval = interval
        if file.stamp != .missing { _ = try file.read() }
        _ = reading(\.isClosed)
    }

    /// All keys, in the order in which they were made.
    public var keys: [APIKey] { reading(\.keys) }

    /// Paths of the files whose removal opens the folder again.
    public var files: [String] { [file.url.path, file.marker.path] }

    /// Whether there are no keys.
    public var isEmpty: Bool { keys.isEmpty }

    /// Whether requests need a key.
    public var isRequired: Bool { reading(\.isClosed) }

    /// Why the keys cannot be read, and no request is admitted; `nil` if they can.
    public var failure: String? { reading(\.failure) }

    /// The permission of a request that shows this key, or none.
    public func admission(of text: String?) -> Admission {
        let state = reading(\.self)
        guard state.isClosed else { return .open }
        if let failure = state.failure { return .unavailable(failure) }
        guard let text else { return .missing }
        let shown = Array(SHA256.hexadecimal(Array(text.utf8)).utf8)
        // Every digest is compared whole: how long it takes says nothing about any of them.
        var found = Admission.unknown
        for key in state.keys where isEqualInConstantTime(Array(key.digest.utf8), shown) {
            found = .key(key)
        }
        return found
    }

    /// The permission of a request that was made for the key of this id: a key without its secret.
    package func admission(ofKey id: String) -> Admission {
        let state = reading(\.self)
        guard state.isClosed else { return .open }
        if let failure = state.failure { return .unavailable(failure) }
        return state.keys.first { $0.id == id }.map(Admission.key) ?? .unknown
    }

    /// The key that this text is, if it is one.
    public func key(_ text: String) -> APIKey? {
        if case .key(let key) = admission(of: text) { key } else { nil }
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
        let text = "ink-" + Self.randomText(count: 40)
        try change { keys in
            guard !keys.contains(where: { $0.name == name }) else {
                throw KeyError(
                    code: .name,
                    message: "There is a key '\(name)' already; choose another name, or revoke it"
                        + " first.")
            }
            keys.append(
                APIKey(
                    id: "key-" + Self.randomText(count: 20), name: name, scope: scope,
                    concurrency: concurrency, perMinute: perMinute, priority: priority,
                    digest: SHA256.hexadecimal(Array(text.utf8)), created: Date()))
        }
        return text
    }

    /// Random letters and digits.
    private static func randomText(count: Int) -> String {
        let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        // The system's generator is a cryptographic one.
        var generator = SystemRandomNumberGenerator()
        return String(
            (0..<count).map { _ in letters[Int.random(in: 0..<letters.count, using: &generator)] })
    }

    /// Takes a key out of use.
    ///
    /// - Returns: How many keys are left.
    /// - Throws: `KeyError`.
    @discardableResult
    public func revoke(_ name: String) throws -> Int {
        func check(_ keys: [APIKey]) throws(KeyError) {
            guard !keys.contains(where: { $0.name == name }) else { return }
            throw KeyError(
                code: .name,
                message: "There is no key '\(name)'; known are"
                    + " \(keys.isEmpty ? "none" : keys.map(\.name).joined(separator: ", ")).")
        }
        // A folder without keys is not written to.
        try check(keys)
        try change { keys in
            try check(keys)
            keys.removeAll { $0.name == name }
        }
        return keys.count
    }

    // MARK: - The file

    private func change(_ body: (inout [APIKey]) throws -> Void) throws {
        let lock = try file.lock()
        var keys = file.stamp == .missing ? [] : try file.read()
        try body(&keys)
        try file.write(keys)
        state.withLock { $0.checked = nil }
        _ = reading(\.isClosed)
        withExtendedLifetime(lock) {}
    }

    /// Reads the state after the file was read again, if it has changed, and logs whether it can be read.
    private func reading<Value: Sendable>(_ body: (State) -> Value) -> Value {
        let (value, failure, hasChanged) = state.withLock { state in
            let before = state.failure
            refresh(&state)
            return (body(state), state.failure, state.failure != before)
        }
        guard hasChanged else { return value }
        if let failure {
            logger.error(
                "keys cannot be read: no request that needs one is admitted",
                metadata: ["reason": "\(failure)"])
        } else {
            logger.notice("keys are read again", metadata: ["file": "\(file.url.path)"])
        }
        return value
    }

    /// Reads the file again when it has changed, at most once in `interval`; ten times as often while it cannot
    /// be read, which an editor that writes it may cause.
    private func refresh(_ state: inout State) {
        let pause = state.failure == nil ? interval : interval / 10
        if let checked = state.checked, .now - checked < pause { return }
        state.checked = .now
        // Before it is read: a later change has another stamp.
        let stamp = file.stamp
        if stamp == .missing {
            state.isClosed = state.isClosed || file.isMarked
            guard state.isClosed else { return }
            (state.keys, state.stamp) = ([], .missing)
            state.failure =
                "The file of keys '\(file.url.path)' is missing; put it back, or make a key with"
                + " 'inkstone keys add NAME'. To serve without keys, stop the server, remove"
                + " '\(file.marker.path)' and start it again."
            return
        }
        guard stamp != state.stamp || state.failure != nil else { return }
        state.isClosed = true
        file.mark()
        do {
            (state.keys, state.stamp, state.failure) = (try file.read(), stamp, nil)
        } catch {
            (state.keys, state.stamp, state.failure) = ([], .missing, error.message)
        }
    }
}
