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

/// A lock that one process at a time holds; the system takes it back when the process ends.
final class FileLock {
    private let descriptor: Int32

    /// Waits for the lock; `nil` when it cannot be had, or not within ten minutes.
    init?(_ url: URL) {
        descriptor = open(url.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        for _ in 0..<6000 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
            guard errno == EWOULDBLOCK || errno == EINTR else { break }
            usleep(100_000)
        }
        return nil
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }
}
