// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
package import Foundation
import Imaging

/// Image files under the SHA-256 of their bytes: `ab/abcdef….png`.
///
/// A file is complete or absent, is never changed, and equal images share one.
package struct ImageFiles: Sendable {
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

    /// The URL of a file, or `nil` where the name is not a digest.
    private func url(_ name: String) -> URL? {
        guard name.utf8.count == 64,
            name.utf8.allSatisfy({
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            })
        else { return nil }
        return folder.appending(path: "\(name.prefix(2))/\(name).png")
    }

    /// Stores a file.
    ///
    /// Returns its name.
    package func store(_ bytes: [UInt8]) throws -> String {
        let name = SHA256.hexadecimal(bytes)
        guard let url = url(name) else { return name }
        if FileManager.default.fileExists(atPath: url.path) { return name }
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
        try ImageFile.writeAtomically(bytes, to: url.path, permissions: 0o600)
        return name
    }

    /// The bytes of a file, or `nil` if it is missing or does not match its name.
    package func read(_ name: String) -> [UInt8]? {
        guard let url = url(name), let data = try? Data(contentsOf: url) else { return nil }
        let bytes = [UInt8](data)
        return SHA256.hexadecimal(bytes) == name ? bytes : nil
    }

    package func remove(_ name: String) {
        guard let url = url(name) else { return }
        try? FileManager.default.removeItem(at: url)
    }
}
