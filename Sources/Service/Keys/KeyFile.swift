// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Imaging
import ModelFiles

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The file `keys.json` of a data folder, which only its owner may read.
///
/// The file `keys.required` beside it records that there were keys: a service that is started while
/// `keys.json` is missing stays closed.
struct KeyFile: Sendable {
    /// Identifies a version of the file.
    enum Stamp: Equatable {
        /// There is no such file.
        case missing
        /// It cannot be looked at; the `errno` value.
        case unusable(Int32)
        /// It is this version.
        case version(FileStamp)
    }

    /// The file.
    let url: URL
    /// The file that records that there were keys.
    let marker: URL

    init(folder: URL) {
        url = folder.appending(path: "keys.json")
        marker = folder.appending(path: "keys.required")
    }

    /// The version that is there now.
    var stamp: Stamp {
        if let version = FileStamp(path: url.path) { return .version(version) }
        let number = access(url.path, F_OK) == 0 ? EIO : errno
        // A link to nothing is a file that is away, not one that was never there.
        let isLink = (try? FileManager.default.destinationOfSymbolicLink(atPath: url.path)) != nil
        return number == ENOENT && !isLink ? .missing : .unusable(number)
    }

    /// Whether the folder had keys.
    var isMarked: Bool { access(marker.path, F_OK) == 0 }

    /// Records that the folder has keys; a folder that cannot be written to is left as it is.
    func mark() {
        let descriptor = open(marker.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor >= 0 { close(descriptor) }
    }

    /// Reads the keys.
    ///
    /// - Throws: `KeyError` of code `denied`, or `file` for a file that is missing, cannot be read, or has keys without ids of
    ///   their own.
    func read() throws(KeyError) -> [APIKey] {
        do {
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            let keys = try decoder.decode([APIKey].self, from: try Data(contentsOf: url))
            // An owner without a name would be that of all jobs without an owner.
            guard Set(keys.map(\.id)).count == keys.count,
                keys.allSatisfy({ !$0.id.isEmpty && !$0.id.contains(where: \.isWhitespace) })
            else { throw CocoaError(.fileReadCorruptFile) }
            return keys
        } catch {
            if let barrier = FileKind.barrier(before: url.path) {
                throw KeyError(
                    code: .denied,
                    message:
                        "The file of keys '\(url.path)' may not be read by this user: '\(barrier)' is closed"
                        + " to it (permission denied); run this as the owner, such as with sudo -u."
                )
            }
            throw KeyError(
                code: .file,
                message: "The file of keys '\(url.path)' cannot be read; correct it, or remove it"
                    + " and make new keys.")
        }
    }

    /// Writes the keys; a file that is there keeps its permissions.
    ///
    /// - Throws: `KeyError` of code `file`.
    func write(_ keys: [APIKey]) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        encoder.dateEncodingStrategy = .iso8601
        do {
            let bytes = [UInt8](try encoder.encode(keys)) + [10]
            if stamp == .missing {
                try create(bytes)
            } else {
                try ImageFile.writeAtomically(bytes, to: url.path)
            }
        } catch {
            throw KeyError(
                code: .file,
                message: "The file of keys '\(url.path)' cannot be written: \(error)")
        }
    }

    /// Makes the file, which appears with its content or not at all.
    private func create(_ bytes: [UInt8]) throws {
        let temporary = url.path + ".new"
        // The mode of a file that is there is kept.
        guard
            FileManager.default.createFile(
                atPath: temporary, contents: nil, attributes: [.posixPermissions: 0o600])
        else { throw CocoaError(.fileWriteNoPermission) }
        try ImageFile.writeAtomically(bytes, to: temporary)
        guard rename(temporary, url.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// Keeps other processes from changing the file while it is changed.
    ///
    /// - Throws: `KeyError` of code `file`.
    func lock() throws(KeyError) -> FileLock {
        do {
            return try FileLock(
                url.deletingLastPathComponent().appending(path: "keys.lock"), timeout: 5)
        } catch {
            throw KeyError(
                code: .file,
                message: "The file of keys '\(url.path)' cannot be changed: the folder cannot be"
                    + " written to, or another program changes the keys; try again.")
        }
    }
}
