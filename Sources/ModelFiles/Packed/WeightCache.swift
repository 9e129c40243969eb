// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A cache of weights packed for the kernels, so that only the first start has to pack them.
///
/// There is one file for each component of a model, precision and kind of kernels. Files are keyed
/// by their source: a changed checkpoint gets another file, and the least recently used files are
/// evicted. Errors of the cache are not fatal: the weights are packed into memory instead.
public struct WeightCache: Sendable {
    /// The folder of the files.
    public let folder: URL
    /// Maximum number of bytes of all files.
    public var limit: Int
    /// Components with fewer bytes are not cached, since packing them is fast.
    public var minimum: Int
    /// Receives a sentence when the cache cannot be used.
    private let warn: @Sendable (String) -> Void

    static let suffix = ".panels"

    /// Creates a cache in `folder`, which is created on first use.
    public init(
        folder: URL, limit: Int = 64 << 30, minimum: Int = 256 << 20,
        warn: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.folder = folder
        self.limit = limit
        self.minimum = minimum
        self.warn = warn
    }

    /// `INKSTONE_CACHE`, or `inkstone` in the user's cache folder; `nil` where there is no home.
    public static func standardFolder(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> URL? {
        func folder(_ variable: String, _ path: String) -> URL? {
            guard let root = environment[variable], !root.isEmpty else { return nil }
            let url = URL(filePath: root, directoryHint: .isDirectory)
            return path.isEmpty ? url : url.appending(path: path)
        }
        return folder("INKSTONE_CACHE", "") ?? folder("XDG_CACHE_HOME", "inkstone")
            ?? folder("HOME", ".cache/inkstone")
    }

    /// A file of the cache.
    struct Entry: Equatable {
        var url: URL
        var bytes: Int
        /// Time of the last use, in nanoseconds.
        var used: Int
    }

    /// All files, the least recently used first.
    var entries: [Entry] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(Self.suffix) }.compactMap { name in
            let url = folder.appending(path: name)
            var status = stat()
            guard stat(url.path, &status) == 0 else { return nil }
            let time = status.modified
            return Entry(
                url: url, bytes: Int(status.st_size),
                used: Int(time.tv_sec) * 1_000_000_000 + Int(time.tv_nsec))
        }.sorted { ($0.used, $0.url.path) < ($1.used, $1.url.path) }
    }

    /// Number of files, and of their bytes.
    public var contents: (files: Int, bytes: Int) {
        let entries = entries
        return (entries.count, entries.reduce(0) { $0 + $1.bytes })
    }

    // MARK: - Use

    /// Opens the weights of a component, or starts to store them.
    ///
    /// - Parameters:
    ///   - component: beginning of the file's name.
    ///   - store: the source checkpoint.
    ///   - form: the device's name of the packed format.
    ///   - bytes: estimated size.
    /// - Returns: `nil` if the cache cannot be used.
    package func session(
        _ component: String, of store: TensorStore, form: String, bytes: Int
    ) -> WeightCacheSession? {
        guard !store.fileIdentities.isEmpty, store.byteCount >= minimum else { return nil }
        let key = ([component, form] + store.fileIdentities).joined(separator: "\n")
        let name = "\(component)-" + hash(of: key).hexadecimal(digits: 16) + Self.suffix
        let url = folder.appending(path: name)
        if let file = opened(url, key) { return WeightCacheSession(.reading(file)) }
        guard makeFolder(), let lock = try? FileLock(lockURL(name), timeout: 600) else {
            warn(
                "weights are packed again at every start: \(folder.path.quoted) cannot be used;"
                    + " choose another folder with INKSTONE_CACHE.")
            return nil
        }
        // Another process may have packed them while this one waited for the lock.
        if let file = opened(url, key) { return WeightCacheSession(.reading(file)) }
        removeLeftovers(of: name)
        guard makeRoom(for: bytes, except: url) else { return nil }
        do {
            return WeightCacheSession(
                .writing(try PackedFileWriter(url: url, key: key, limit: limit), lock))
        } catch {
            warn("weights are packed again at every start: \(error.description)")
            return nil
        }
    }

    /// Reports that a session failed.
    package func report(_ error: CheckpointError) {
        warn("weights are packed into memory, not into the cache: \(error.description)")
    }

    private func opened(_ url: URL, _ key: String) -> PackedFile? {
        guard let file = PackedFile(url: url, key: key) else { return nil }
        // Updates the time of use; without the permission it is evicted earlier.
        utimes(url.path, nil)
        return file
    }

    private func lockURL(_ name: String) -> URL { folder.appending(path: ".\(name).lock") }

    private func makeFolder() -> Bool {
        // Not writable by others: a file is trusted if its hashes match.
        (try? FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])) != nil
    }

    /// Removes temporary files of killed processes: those of this name, whose lock is held, and old ones.
    private func removeLeftovers(of name: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for other in names where other.hasPrefix(".") && other.hasSuffix(".tmp") {
            let url = folder.appending(path: other)
            var status = stat()
            guard stat(url.path, &status) == 0 else { continue }
            let age = time(nil) - Int(status.modified.tv_sec)
            if other.hasPrefix(".\(name).") || age > 86_400 { unlink(url.path) }
        }
    }

    /// Evicts the oldest files until another fits; returns whether it does.
    private func makeRoom(for bytes: Int, except url: URL) -> Bool {
        guard bytes <= limit else {
            warn(
                "weights are packed again at every start: they take \(bytes.megabyteText), and the"
                    + " cache in \(folder.path.quoted) may have \(limit.megabyteText).")
            return false
        }
        var entries = entries
        unlink(url.path)
        entries.removeAll { $0.url == url }
        var total = entries.reduce(0) { $0 + $1.bytes }
        while total + bytes > limit, !entries.isEmpty {
            let oldest = entries.removeFirst()
            // Processes that have it mapped keep it.
            unlink(oldest.url.path)
            total -= oldest.bytes
        }
        var system = statvfs()
        guard statvfs(folder.path, &system) == 0 else { return true }
        let free = Int(system.f_bavail) * Int(system.f_frsize)
        guard free > bytes + bytes / 20 else {
            warn(
                "weights are packed again at every start: the cache in \(folder.path.quoted) needs"
                    + " \(bytes.megabyteText), and the disk has \(free.megabyteText) free.")
            return false
        }
        return true
    }
}

/// The packed weights of one component while a model is loaded.
package final class WeightCacheSession: @unchecked Sendable {
    // Unchecked: a model is loaded by one thread, and is not used here afterwards.

    /// Whether weights are read or written.
    enum State {
        /// They are in the cache.
        case reading(PackedFile)
        /// They are packed and written.
        case writing(PackedFileWriter, FileLock)
        /// They are loaded.
        case done
    }

    private var state: State
    /// Whether the weights were in the cache.
    package let isWarm: Bool

    init(_ state: State) {
        self.state = state
        if case .reading = state { isWarm = true } else { isWarm = false }
    }

    /// A matrix of the file, or `nil` if it has to be packed.
    package func matrix(named name: String) throws(CheckpointError) -> PackedMatrix? {
        guard case .reading(let file) = state else { return nil }
        guard let matrix = file[name] else { throw unfit(name) }
        return matrix
    }

    /// Stores a matrix; returns it as mapped from the file.
    package func store(
        _ matrix: PackedMatrix, named name: String
    ) throws(CheckpointError) -> PackedMatrix {
        guard case .writing(let writer, _) = state else { return matrix }
        return try writer.append(matrix, named: name)
    }

    /// An error about a matrix that the device rejects.
    package func unfit(_ name: String) -> CheckpointError {
        CheckpointError(
            code: .badTensor, message: "the cache has no usable matrix \(name.quoted).",
            remedy: "Remove the files in the cache folder.")
    }

    /// Completes the file and publishes it to other processes.
    package func finish() throws(CheckpointError) {
        defer { state = .done }
        if case .writing(let writer, _) = state { try writer.finish() }
    }

    /// Discards the file.
    package func discard() { state = .done }
}
