// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import Transfers

/// The files of a model as its hub published them, to compare a folder with.
public struct PublishedFiles: Sendable {
    /// How a file of the folder compares with the published one.
    public enum State: String, Sendable, Codable {
        /// Size and checksum are the published ones.
        case intact
        /// It has another number of bytes.
        case wrongSize = "wrong_size"
        /// It has other bytes.
        case wrongBytes = "wrong_bytes"
        /// It is not in the folder.
        case missing
        /// It is there, but cannot be read.
        case unreadable
    }

    /// The result for one file.
    public struct Comparison: Sendable, Codable {
        /// Path within the repository.
        public let path: String
        /// Published number of bytes.
        public let bytes: Int
        /// Published digest: 64 digits of SHA-256, or 40 of Git's SHA-1.
        public let digest: String
        /// How the file compares.
        public let state: State
    }

    /// Owner and name.
    public let repository: String
    /// The commit that the list is of.
    public let commit: String
    /// Number of bytes of all files.
    public var byteCount: Int { files.reduce(0) { $0 + $1.size } }

    private let files: [RemoteFile]
    private static let chunk = 1 << 20

    /// The list that was stored when the model was pulled; `nil` without one.
    public init?(recordedIn folder: URL) {
        guard let record = PullRecord(in: folder) else { return nil }
        repository = record.repository
        commit = record.commit
        files = record.files
    }

    /// Fetches the list of the files that a pull would choose.
    ///
    /// - Parameters:
    ///   - repository: Owner and name, or one of `ModelPull.aliases`.
    ///   - revision: Branch, tag or commit; `nil` is the hub's newest.
    ///   - hub: Where the repository is.
    /// - Throws: `HubError`.
    public init(
        of repository: String, revision: String? = nil, from hub: HubEndpoint
    ) async throws {
        let repository = try ModelPull.fullName(repository)
        let client = HubClient(
            hub: hub, client: HubClient.makeClient(connections: 1),
            retryPolicy: HubClient.RetryPolicy())
        do {
            commit = try await client.commit(repository, revision ?? hub.kind.defaultRevision)
            files = try FileSelection.choose(
                try await client.files(repository, commit), [], repository: repository)
        } catch {
            await client.client.shutDown()
            throw error
        }
        await client.client.shutDown()
        self.repository = repository
    }

    /// Compares every file with the one in a folder.
    ///
    /// - Parameters:
    ///   - folder: The model's folder.
    ///   - onBytes: Called with the number of bytes that have been compared.
    /// - Returns: The results, sorted by path.
    public func compare(
        with folder: URL, onBytes: (Int) -> Void = { _ in }
    ) -> [Comparison] {
        var done = 0
        return files.sorted { $0.path < $1.path }.map { file in
            let before = done
            let state = Self.state(of: file, in: folder) { onBytes(before + $0) }
            done += file.size
            onBytes(done)
            return Comparison(
                path: file.path, bytes: file.size, digest: file.digest.digits, state: state)
        }
    }

    /// Returns the SHA-256 of a file, or `nil` if it cannot be read.
    public static func sha256(of file: URL, onBytes: (Int) -> Void = { _ in }) -> String? {
        var hash = IncrementalHash(.sha256)
        guard read(file, onBytes: onBytes, { hash.update($0) }) else { return nil }
        return hash.digest.hexadecimal
    }

    private static func state(
        of file: RemoteFile, in folder: URL, onBytes: (Int) -> Void
    ) -> State {
        let url = folder.appending(path: file.path)
        // Of what a link leads to: downloads of other programs are folders of links.
        guard
            let size = try? FileManager.default.attributesOfItem(
                atPath: url.resolvingSymlinksInPath().path)[.size] as? NSNumber
        else { return .missing }
        guard size.intValue == file.size else { return .wrongSize }
        var hash = file.emptyHash()
        guard read(url, onBytes: onBytes, { hash.update($0) }) else { return .unreadable }
        return hash.digest.hexadecimal == file.digest.digits ? .intact : .wrongBytes
    }

    /// - Returns: Whether all bytes could be read.
    private static func read(
        _ file: URL, onBytes: (Int) -> Void, _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        guard let handle = try? FileHandle(forReadingFrom: file) else { return false }
        defer { try? handle.close() }
        var done = 0
        do {
            while let data = try handle.read(upToCount: chunk), !data.isEmpty {
                data.withUnsafeBytes(body)
                done += data.count
                onBytes(done)
            }
            return true
        } catch { return false }
    }
}
