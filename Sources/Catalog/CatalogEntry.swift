// Part of Inkstone. Licence: see LICENSE.

public import Foundation
public import ModelFiles

/// A model folder of the catalog, usable or not.
public struct CatalogEntry: Sendable, Equatable {
    /// The folder.
    public let folder: URL
    /// Whether the model can be removed: it is in the user's folder, and not the built-in model.
    public let isRemovable: Bool

    /// Creates the entry of a folder.
    ///
    /// - Parameters:
    ///   - folder: the model's folder.
    ///   - userRoot: the folder of the user's models, if there is one.
    init(_ folder: URL, userRoot: URL?) {
        self.folder = folder
        isRemovable =
            folder.lastPathComponent != ModelLocator.embeddedModel
            && folder.deletingLastPathComponent().canonicalPath == userRoot?.canonicalPath
    }

    /// Name of the folder, by which the model is launched.
    public var name: String { folder.lastPathComponent }

    /// Number of bytes of all files in the folder.
    public var byteCount: Int {
        let keys: Set<URLResourceKey> = [.fileSizeKey, .isRegularFileKey]
        let files = FileManager.default.enumerator(
            at: folder, includingPropertiesForKeys: Array(keys))
        var total = 0
        for case let file as URL in files ?? .init() {
            let values = try? file.resourceValues(forKeys: keys)
            if values?.isRegularFile == true { total += values?.fileSize ?? 0 }
        }
        return total
    }

    /// Opens the model.
    ///
    /// - Throws: `CheckpointError` if the model is not usable.
    public func open() throws(CheckpointError) -> ModelDirectory { try ModelDirectory(url: folder) }
}

extension URL {
    /// The path without symbolic links and dots, for comparisons.
    package var canonicalPath: String { resolvingSymlinksInPath().standardizedFileURL.path }
}
