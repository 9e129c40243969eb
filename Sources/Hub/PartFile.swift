// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A partially downloaded file: appended bytes are hashed, after those of earlier attempts.
final class PartFile {
    /// Number of downloaded bytes.
    private(set) var size = 0

    private let url: URL
    private let file: RemoteFile
    private var descriptor: Int32
    private var hash: IncrementalHash

    /// Opens or creates the file.
    ///
    /// - Throws: `HubError` of code `disk`.
    init(_ url: URL, for file: RemoteFile) throws(HubError) {
        self.url = url
        self.file = file
        hash = file.emptyHash()
        descriptor = open(url.path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw Self.failure(url) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.failure(url) }
            if count == 0 { break }
            update(buffer[..<count])
            size += count
        }
        if size > file.size { try restart() }
    }

    deinit { close(descriptor) }

    private func update(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { hash.update($0) }
    }

    /// Discards all bytes.
    func restart() throws(HubError) {
        guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
            throw Self.failure(url)
        }
        size = 0
        hash = file.emptyHash()
    }

    /// Appends bytes.
    func append(_ bytes: ArraySlice<UInt8>) throws(HubError) {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(url) }
            rest = rest.dropFirst(count)
        }
        update(bytes)
        size += bytes.count
    }

    /// Whether size and checksum match the announcement.
    var isIntact: Bool {
        size == file.size && hash.digest.hexadecimal == file.digest.digits
    }

    /// Synchronizes and renames the file.
    func commit(as name: URL) throws(HubError) {
        guard fsync(descriptor) == 0, rename(url.path, name.path) == 0 else {
            throw Self.failure(name)
        }
    }

    static func failure(_ url: URL) -> HubError {
        let number = errno
        let reason = String(cString: strerror(number))
        let remedy = number == ENOSPC ? "free some disk space" : "check the folder's permissions"
        return HubError(.disk, "'\(url.path)' cannot be written: \(reason); \(remedy).")
    }
}
