// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
package import Foundation
import Imaging

/// PNG files under the SHA-256 of their bytes: `ab/abcdef….png`.
///
/// A file is complete or absent, is never changed, and equal images share one.
package struct ImageFiles: Sendable {
    /// The beginning of temporary files' names.
    private static let prefix = ".image-"

    private let folder: URL

    /// - Throws: `JobStoreError` of code `unusable`.
    package init(folder: URL) throws(JobStoreError) {
        self.folder = folder
        do {
            try FileManager.default.createDirectory(
                at: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw JobStoreError(
                code: .unusable,
                message: "The folder '\(folder.path)' cannot be made; check the permissions of the"
                    + " data folder, or name another with --data.")
        }
    }

    /// The files of a folder that may be missing, and is not made.
    init(existing folder: URL) { self.folder = folder }

    /// The URL of a file, or `nil` where the name is not a digest.
    func url(_ name: String) -> URL? {
        guard name.utf8.count == 64,
            name.utf8.allSatisfy({
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            })
        else { return nil }
        return folder.appending(path: "\(name.prefix(2))/\(name).png")
    }

    // MARK: - Writing

    /// Writes a file to the disk under a temporary name, unless it is stored already.
    ///
    /// - Throws: `JobStoreError` of code `full`, `ImagingError`.
    package func stage(_ bytes: [UInt8]) throws -> StagedFile {
        let name = SHA256.hexadecimal(bytes)
        let url = folder.appending(path: "\(name.prefix(2))/\(name).png")
        do {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw JobStoreError(
                code: .full,
                message: "The folder '\(folder.path)' cannot be written to; check its permissions"
                    + " and the room on the disk.")
        }
        let file = StagedFile(name: name, url: url, prefix: Self.prefix, bytes: bytes)
        if !file.isStored { try file.write() }
        return file
    }

    /// Stores a file.
    ///
    /// Returns its name.
    package func store(_ bytes: [UInt8]) throws -> String {
        let file = try stage(bytes)
        try file.commit()
        return file.name
    }

    /// Removes a file.
    package func remove(_ name: String) {
        guard let url = url(name) else { return }
        try? FileManager.default.removeItem(at: url)
    }

    // MARK: - Reading

    /// The bytes of a file, or `nil` if it is missing or does not match its name.
    package func read(_ name: String) -> [UInt8]? {
        guard let url = url(name), let data = try? Data(contentsOf: url) else { return nil }
        let bytes = [UInt8](data)
        return SHA256.hexadecimal(bytes) == name ? bytes : nil
    }

    // MARK: - Sweeping

    /// The names of the files whose names begin with two digits.
    func names(in part: String) -> [String] {
        contents(of: part).filter { $0.hasSuffix(".png") && $0.hasPrefix(part) }
            .map { String($0.dropLast(4)) }
    }

    /// Removes temporary files of killed processes, also those of version 0.1.
    func removeLeftovers(in part: String) {
        for file in temporaryFiles(in: part) { LeftoverFile.remove(file.path) }
    }

    /// Temporary files, of which some may be in use.
    func temporaryFiles(in part: String) -> [URL] {
        contents(of: part).filter {
            $0.hasSuffix(".tmp") && ($0.hasPrefix(Self.prefix) || $0.hasPrefix(".inkstone-"))
        }.map { folder.appending(path: "\(part)/\($0)") }
    }

    private func contents(of part: String) -> [String] {
        DataFolder.contents(of: folder.appending(path: part))
    }
}
