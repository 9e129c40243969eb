// Part of Inkstone. Licence: see LICENSE.

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
        guard Self.isFolder(folder) else {
            throw CommandError(
                .notFound, "The folder '\(folder)' does not exist; create it, or choose another.")
        }
        guard access(folder, W_OK) == 0 else {
            throw CommandError(
                .notFound,
                "The folder '\(folder)' may not be written to; change its permissions, or choose"
                    + " another.")
        }
        for path in paths where Self.isFolder(path) {
            throw CommandError(.usage, "'\(path)' is a folder, expected a file; add a file name.")
        }
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder = ObjCBool(false)
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            && isFolder.boolValue
    }
}
