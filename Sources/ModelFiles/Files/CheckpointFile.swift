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

/// An atomic file whose errors are `CheckpointError`s of code `writeFailed`.
typealias CheckpointFile = AtomicFile<CheckpointError>

extension AtomicFile where Failure == CheckpointError {
    /// Creates a hidden file beside the final one.
    convenience init(_ url: URL) throws(CheckpointError) {
        try self.init(
            url.path, in: url.deletingLastPathComponent().path,
            prefix: ".\(url.lastPathComponent.prefix(100)).", permissions: 0o644
        ) { number in
            let remedy: String? =
                switch number {
                case ENOSPC, EDQUOT: "Free some disk space."
                case EACCES, EPERM, EROFS: "Choose a folder that this user may write to."
                case ENOENT, ENOTDIR: "Create the folder first."
                default: nil
                }
            return CheckpointError(
                code: .writeFailed,
                message: "\(url.path.quoted) cannot be written:"
                    + " \(String(cString: strerror(number))).",
                remedy: remedy)
        }
    }

    /// Maps written bytes; the mapping outlives the file object and the rename.
    func map(_ range: Range<Int>) throws(CheckpointError) -> SharedMapping {
        guard let mapping = SharedMapping(descriptor, range) else { throw failure(errno) }
        return mapping
    }
}
