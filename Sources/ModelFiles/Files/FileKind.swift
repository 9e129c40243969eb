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

/// The kind of the item at a path; symbolic links are followed.
enum FileKind: Equatable {
    /// A folder.
    case folder
    /// Anything else that exists.
    case file
    /// Nothing, or nothing that is visible to this user.
    case nothing

    /// Determines the kind of the item at a path.
    init(_ url: URL) {
        var status = stat()
        if stat(url.path, &status) != 0 {
            self = .nothing
        } else {
            self = status.st_mode & S_IFMT == S_IFDIR ? .folder : .file
        }
    }
}

extension stat {
    /// Time of the last modification.
    var modified: timespec {
        #if canImport(Darwin)
            st_mtimespec
        #else
            st_mtim
        #endif
    }
}

/// Names of the items in a folder, sorted, without hidden ones.
///
/// - Throws: `CheckpointError` of code `notFound` or `unreadable`.
func folderContents(_ folder: URL) throws(CheckpointError) -> [String] {
    do {
        return try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { !$0.hasPrefix(".") }.sorted()
    } catch {
        let path = folder.path.quoted
        switch FileKind(folder) {
        case .nothing:
            throw CheckpointError(
                code: .notFound, message: "The folder \(path) does not exist.",
                remedy: "Check the path.", cause: error)
        case .file:
            throw CheckpointError(
                code: .unreadable, message: "\(path) is a file, expected a folder.", cause: error)
        case .folder:
            throw CheckpointError(
                code: .unreadable, message: "The folder \(path) may not be read by this user.",
                remedy: "Change its permissions.", cause: error)
        }
    }
}
