// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import ModelFiles
import Synchronization
import Transfers

/// Fetches a model from a hub into a folder of models.
///
/// Files are collected in a hidden folder beside the model's, where an interrupted pull goes on the
/// next time. When all are there and their checksums are right, the folder gets the model's name: so
/// what has a model's name is complete.
public struct ModelPull: Sendable {
    /// How far a pull is.
    public struct Progress: Sendable {
        /// Bytes that have arrived.
        public var bytes: Int
        /// Bytes of all files.
        public var total: Int
        /// Files that are complete and verified.
        public var files: Int
        /// All files.
        public var fileCount: Int
    }

    /// The result of a pull.
    public struct Outcome: Sendable {
        /// The model's folder.
        public var folder: URL
        /// The commit that its files are of.
        public var commit: String
        /// Bytes of all files.
        public var bytes: Int
        /// Files.
        public var files: Int
        /// Whether everything was present already.
        public var wasThere: Bool
    }

    /// Short names of well-known repositories.
    public static let aliases = [
        "z-image-turbo": "Tongyi-MAI/Z-Image-Turbo", "z-image": "Tongyi-MAI/Z-Image",
    ]

    /// Where the model comes from.
    public var hub: HubEndpoint
    /// Owner and name.
    public let repository: String
    /// Branch, tag or commit; `nil` is the hub's newest.
    public var revision: String?
    /// Paths of the files to fetch, with `*` as wildcard; empty fetches the whole model.
    public var patterns: [String] = []
    /// Name of the model's folder.
    public let name: String
    /// The folder of models.
    public let root: URL
    /// Files that are fetched at the same time.
    public var connections = 4
    /// Whether files of another repository may already be in the folder.
    public var adds = false

    var retryPolicy = HubClient.RetryPolicy()

    private static let smallFile = 1 << 20

    /// A pull of a repository.
    ///
    /// - Parameters:
    ///   - repository: owner and name, or one of the `aliases`.
    ///   - hub: where it is.
    ///   - name: of the model's folder; the repository's own if `nil`.
    ///   - root: the folder of models.
    /// - Throws: `HubError` of code `usage`.
    public init(
        _ repository: String, from hub: HubEndpoint, name: String? = nil, into root: URL
    ) throws(HubError) {
        let full = try Self.fullName(repository)
        let name = name ?? String(full.split(separator: "/")[1])
        guard Self.isName(name) else {
            throw HubError(
                .usage,
                "'\(name)' is not a name for a model, expected letters, digits, '.', '_' and '-'.")
        }
        self.hub = hub
        self.repository = full
        self.name = name
        self.root = root
    }

    /// Sets the limits of retries, for tests.
    package mutating func setRetryPolicy(failures: Int, firstPause: Double, silence: Double) {
        retryPolicy.failures = failures
        retryPolicy.firstPause = firstPause
        retryPolicy.silence = silence
    }

    /// Returns owner and name of a repository, which may be given by one of the `aliases`.
    ///
    /// - Throws: `HubError` of code `usage`.
    static func fullName(_ repository: String) throws(HubError) -> String {
        let full = aliases[repository.lowercased()] ?? repository
        let parts = full.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ isName(String($0)) }) else {
            throw HubError(
                .usage,
                "'\(repository)' is not a repository, expected OWNER/NAME or one of"
                    + " \(aliases.keys.sorted().joined(separator: ", ")).")
        }
        return full
    }

    static func isName(_ text: String) -> Bool {
        text.isPlainName(atMost: 96, notBeginningWith: ".-")
    }

    private var folder: URL { root.appending(path: name) }
    private var staging: URL { root.appending(path: ".\(name).pull") }
    /// The previous version, while it is replaced.
    private var aside: URL { root.appending(path: ".\(name).old") }

    // MARK: Running

    /// Fetches what is missing.
    ///
    /// - Parameter onProgress: receives the progress, often and from several threads.
    /// - Returns: the folder, and what is in it.
    /// - Throws: `HubError`, `CheckpointError` for a model that this program cannot run, or
    ///   `CancellationError`.
    public func run(
        onProgress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) async throws -> Outcome {
        let http = HubClient.makeClient(connections: connections)
        do {
            let outcome = try await run(
                HubClient(hub: hub, client: http, retryPolicy: retryPolicy), onProgress)
            await http.shutDown()
            return outcome
        } catch {
            await http.shutDown()
            throw error
        }
    }

    private func run(
        _ client: HubClient, _ onProgress: @escaping @Sendable (Progress) -> Void
    ) async throws -> Outcome {
        let revision = revision ?? hub.kind.defaultRevision
        let commit = try await client.commit(repository, revision)
        let all = try await client.files(repository, commit)
        let files = try FileSelection.choose(all, patterns, repository: repository)
        var record = PullRecord(
            hub: hub.address, repository: repository, revision: revision, commit: commit,
            files: files)
        let total = files.reduce(0) { $0 + $1.size }
        let lock = try lockFolder()
        defer { withExtendedLifetime(lock) {} }
        let old = PullRecord(in: folder)
        try checkPlace(old)
        if let old, old.files == files, files.allSatisfy({ Self.isThere($0, in: folder) }) {
            // An earlier pull may have been stopped after it had put all in place, or in vain.
            for rest in [staging, aside] { try? FileManager.default.removeItem(at: rest) }
            return Outcome(
                folder: folder, commit: commit, bytes: total, files: files.count, wasThere: true)
        }
        if adds {
            let paths = Set(files.map(\.path))
            record.files += (old?.files ?? []).filter { !paths.contains($0.path) }
        }
        try prepareStaging(for: record)
        try keep(old, wanted: files)
        let missing = files.filter { !Self.isThere($0, in: staging) }
        try checkSpace(for: missing)
        let counter = Counter(files: files, missing: missing, onProgress)
        // Descriptions first: a model that cannot be run is refused before its weights come.
        let small = missing.filter { $0.size <= Self.smallFile }
        try await fetch(small, client, commit, counter)
        if files.contains(where: { $0.path == "model_index.json" }) {
            _ = try ModelIndex(contentsOf: staging.appending(path: "model_index.json"))
        }
        try await fetch(missing.filter { $0.size > Self.smallFile }, client, commit, counter)
        try removeParts()
        try place()
        return Outcome(
            folder: folder, commit: commit, bytes: total, files: files.count, wasThere: false)
    }

    private func fetch(
        _ files: [RemoteFile], _ client: HubClient, _ commit: String, _ counter: Counter
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var waiting = files.makeIterator()
            func next() throws {
                guard let file = waiting.next() else { return }
                let target = staging.appending(path: file.path)
                try makeFolder(target.deletingLastPathComponent())
                let download = Download(
                    client: client, repository: repository, revision: commit, file: file,
                    target: target
                ) { counter.set(file.path, $0) }
                group.addTask {
                    try await download.run()
                    counter.finished(file.path)
                }
            }
            for _ in 0..<max(1, connections) { try next() }
            while try await group.next() != nil { try next() }
        }
    }

    // MARK: Folders

    /// Another pull of the same model would write into the same files.
    private func lockFolder() throws(HubError) -> FileLock {
        try makeFolder(root)
        let url = root.appending(path: ".\(name).lock")
        do { return try FileLock(url, timeout: 1) } catch {
            guard error == .busy else { throw PartFile.failure(url) }
            throw HubError(
                .busy, "another process is fetching '\(name)'; wait until it has finished.")
        }
    }

    private func makeFolder(_ url: URL) throws(HubError) {
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        } catch {
            throw HubError(
                .disk, "the folder '\(url.path)' cannot be made: \(error.localizedDescription)")
        }
    }

    /// Refuses to put a model in another one's place.
    private func checkPlace(_ old: PullRecord?) throws(HubError) {
        guard FileManager.default.fileExists(atPath: folder.path), !adds else { return }
        guard let old else {
            throw HubError(
                .usage,
                "'\(folder.path)' exists and was not pulled; choose another --name, or remove it with"
                    + " 'inkstone models remove \(name)'.")
        }
        guard old.repository == repository else {
            throw HubError(
                .usage,
                "'\(name)' holds files of \(old.repository); choose another --name, or put both into"
                    + " one folder with --add.")
        }
    }

    /// Makes the hidden folder, or clears what an earlier pull left there of another content.
    private func prepareStaging(for record: PullRecord) throws(HubError) {
        let manager = FileManager.default
        if let earlier = PullRecord(in: staging) {
            let wanted = Dictionary(uniqueKeysWithValues: record.files.map { ($0.path, $0) })
            for file in earlier.files where wanted[file.path] != file {
                try? manager.removeItem(at: staging.appending(path: file.path))
            }
        } else {
            try? manager.removeItem(at: staging)
        }
        try makeFolder(staging)
        try record.write(to: staging)
    }

    /// Takes over what an earlier pull left and what is still right of the model that is in place.
    private func keep(_ old: PullRecord?, wanted files: [RemoteFile]) throws(HubError) {
        let manager = FileManager.default
        guard manager.fileExists(atPath: folder.path) else { return }
        let wanted = Dictionary(uniqueKeysWithValues: files.map { ($0.path, $0) })
        for file in old?.files ?? [] {
            let isWanted = wanted[file.path] == file || adds && wanted[file.path] == nil
            if isWanted { try link(file.path) }
        }
        guard adds else { return }
        // What people put there themselves, such as an inkstone.json.
        let known = Set((old?.files ?? []).map(\.path))
        for path in manager.subpaths(atPath: folder.path) ?? []
        where !known.contains(path) && wanted[path] == nil && path != PullRecord.fileName {
            try link(path)
        }
    }

    /// The same file under the same path in the hidden folder, without a copy of its bytes.
    private func link(_ path: String) throws(HubError) {
        let manager = FileManager.default
        let (from, to) = (folder.appending(path: path), staging.appending(path: path))
        var isFolder: ObjCBool = false
        guard manager.fileExists(atPath: from.path, isDirectory: &isFolder), !isFolder.boolValue,
            !manager.fileExists(atPath: to.path)
        else { return }
        try makeFolder(to.deletingLastPathComponent())
        do { try manager.linkItem(at: from, to: to) } catch {
            do { try manager.copyItem(at: from, to: to) } catch {
                throw HubError(
                    .disk, "'\(to.path)' cannot be written: \(error.localizedDescription)")
            }
        }
    }

    /// A file gets its name when its checksum has been verified; its size shows whether it was truncated
    /// afterwards.
    private static func isThere(_ file: RemoteFile, in folder: URL) -> Bool {
        let path = folder.appending(path: file.path).path
        let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size]
        return (size as? NSNumber)?.intValue == file.size
    }

    private func checkSpace(for files: [RemoteFile]) throws(HubError) {
        let manager = FileManager.default
        var needed = 0
        for file in files {
            let part = Download.part(of: staging.appending(path: file.path), file)
            let size = (try? manager.attributesOfItem(atPath: part.path))?[.size] as? NSNumber
            needed += max(0, file.size - (size?.intValue ?? 0))
        }
        let system = try? manager.attributesOfFileSystem(forPath: root.path)
        guard let free = (system?[.systemFreeSize] as? NSNumber)?.intValue else { return }
        guard needed + needed / 100 <= free else {
            throw HubError(
                .disk,
                "\(repository) needs \(needed.gigabyteText) more in '\(root.path)', and the disk has"
                    + " \(free.gigabyteText) free; free some space, or choose another folder with"
                    + " INKSTONE_MODELS.")
        }
    }

    /// Parts of files that the repository has no longer.
    private func removeParts() throws {
        for path in FileManager.default.subpaths(atPath: staging.path) ?? []
        where path.hasSuffix(".part") {
            try FileManager.default.removeItem(at: staging.appending(path: path))
        }
    }

    /// Gives the hidden folder the model's name.
    private func place() throws(HubError) {
        let manager = FileManager.default
        do {
            try? manager.removeItem(at: aside)
            if manager.fileExists(atPath: folder.path) {
                try manager.moveItem(at: folder, to: aside)
            }
            try manager.moveItem(at: staging, to: folder)
            try? manager.removeItem(at: aside)
        } catch {
            throw HubError(
                .disk, "'\(folder.path)' cannot be put in place: \(error.localizedDescription)")
        }
    }
}

/// Adds up what parallel downloads tell.
private final class Counter: Sendable {
    private let state: Mutex<State>
    private let onProgress: @Sendable (ModelPull.Progress) -> Void

    private struct State {
        var bytes: [String: Int] = [:]
        var progress: ModelPull.Progress
    }

    init(
        files: [RemoteFile], missing: [RemoteFile],
        _ onProgress: @escaping @Sendable (ModelPull.Progress) -> Void
    ) {
        func sum(_ files: [RemoteFile]) -> Int { files.reduce(0) { $0 + $1.size } }
        let total = sum(files)
        state = Mutex(
            State(
                progress: .init(
                    bytes: total - sum(missing), total: total, files: files.count - missing.count,
                    fileCount: files.count)))
        self.onProgress = onProgress
    }

    func set(_ file: String, _ bytes: Int) {
        // Reported within the lock, so that an older state never follows a newer one.
        state.withLock { state in
            state.progress.bytes += bytes - state.bytes[file, default: 0]
            state.bytes[file] = bytes
            onProgress(state.progress)
        }
    }

    func finished(_ file: String) {
        state.withLock { state in
            state.progress.files += 1
            onProgress(state.progress)
        }
    }
}
