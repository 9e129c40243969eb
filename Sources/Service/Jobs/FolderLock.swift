// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Keeps a data folder to one server; the system takes the lock back when the process ends.
final class FolderLock: Sendable {
    private let descriptor: Int32

    /// - Throws: `JobStoreError` of code `inUse` or `unusable`.
    init(_ folder: URL) throws(JobStoreError) {
        let path = folder.appending(path: "lock").path
        let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else {
            throw JobStoreError(
                code: .unusable,
                message: "The data folder '\(folder.path)' cannot be written to:"
                    + " \(String(cString: strerror(errno))); name another with --data.")
        }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            close(opened)
            throw JobStoreError(
                code: .inUse,
                message: "Another server uses the data folder '\(folder.path)'; stop it, or name"
                    + " another folder with --data.")
        }
        descriptor = opened
    }

    deinit { close(descriptor) }
}
