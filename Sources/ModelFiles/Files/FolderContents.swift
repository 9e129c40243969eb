// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

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
/// - Throws: `CheckpointError` of code `notFound`, `unreadable` or `denied`.
package func folderContents(_ folder: URL) throws(CheckpointError) -> [String] {
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
        case .folder, .hidden: throw CheckpointError(denied: folder)
        }
    }
}
