// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// The output files of a run.
struct OutputFiles {
    /// Absolute paths, one for each image.
    let paths: [String]

    private let folder: String

    /// `apple.png` for one file; `apple-1.png`, `apple-2.png` and so on for more.
    init(path: String, count: Int) {
        let file = URL(filePath: path)
        let folder = file.deletingLastPathComponent()
        let stem = file.deletingPathExtension().lastPathComponent
        self.folder = folder.path
        paths =
            count == 1
            ? [file.path]
            : (1...count).map { folder.appending(path: "\(stem)-\($0).\(file.pathExtension)").path }
    }

    /// Checks in advance that the files can be written.
    func check() throws(CommandError) {
        switch FileKind(path: folder) {
        case .folder: break
        case .hidden:
            throw CommandError(
                .notFound,
                "The folder '\(folder)' is closed to this user by '\(FileKind.barrier(before: folder) ?? folder)'"
                    + " (permission denied); change the permissions, or choose another.")
        case .file:
            throw CommandError(
                .notFound, "'\(folder)' is a file, expected a folder; choose another.")
        case .nothing:
            throw CommandError(
                .notFound, "The folder '\(folder)' does not exist; create it, or choose another.")
        }
        guard access(folder, W_OK | X_OK) == 0 else {
            throw CommandError(
                .notFound,
                "The folder '\(folder)' may not be written to by this user (permission denied); change its"
                    + " permissions, or choose another.")
        }
        for path in paths where FileKind(path: path) == .folder {
            throw CommandError(.usage, "'\(path)' is a folder, expected a file; add a file name.")
        }
    }
}
