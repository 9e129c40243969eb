// Part of Inkstone. Licence: see LICENSE.

package import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The kind of the item at a path; symbolic links are followed.
package enum FileKind: Sendable, Equatable {
    /// A folder.
    case folder
    /// Anything else that exists.
    case file
    /// Nothing.
    case nothing
    /// Unknown: a folder on the path may not be searched by this user.
    case hidden

    /// Determines the kind of the item at a path.
    package init(path: String) {
        var status = stat()
        if stat(path, &status) == 0 {
            self = status.st_mode & S_IFMT == S_IFDIR ? .folder : .file
        } else {
            self = errno == EACCES || errno == EPERM ? .hidden : .nothing
        }
    }

    /// Determines the kind of the item at a URL.
    package init(_ url: URL) { self.init(path: url.path) }

    /// The item that withholds a path from this user: the first folder on it that may not be searched, else the path
    /// itself if it may not be read; `nil` if it may be.
    package static func barrier(before path: String) -> String? {
        let parts = path.split(separator: "/")
        var folder = path.hasPrefix("/") ? "/" : "."
        for part in parts.dropLast() {
            if isClosed(folder) { return folder }
            folder = folder == "/" ? "/\(part)" : "\(folder)/\(part)"
        }
        if isClosed(folder) { return folder }
        let needed = FileKind(path: path) == .folder ? R_OK | X_OK : R_OK
        return access(path, needed) != 0 && errno == EACCES ? path : nil
    }

    /// Whether a folder may not be entered; a file on the way is another fault.
    private static func isClosed(_ path: String) -> Bool {
        FileKind(path: path) == .folder && access(path, X_OK) != 0 && errno == EACCES
    }
}
