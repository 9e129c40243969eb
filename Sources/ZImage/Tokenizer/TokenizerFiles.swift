// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The files of a tokenizer's folder.
struct TokenizerFiles {
    private let directory: URL

    /// - Throws: `TokenizerError` when there is no such folder.
    init(directory: URL) throws(TokenizerError) {
        var isDirectory: ObjCBool = false
        let path = directory.path(percentEncoded: false)
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw .notFound("There is no tokenizer folder at \(path).")
        }
        guard isDirectory.boolValue else {
            throw .notFound("Expected a tokenizer folder at \(path), found a file.")
        }
        self.directory = directory
    }

    /// Largest file that is read; tokenizers are far smaller.
    private static let largestFileMiB = 512

    /// Returns the bytes of a file, or `nil` if it does not exist.
    func read(_ name: String) throws(TokenizerError) -> [UInt8]? {
        // Caches of model hubs contain symbolic links: read the attributes of the target.
        let file = directory.appending(path: name).resolvingSymlinksInPath()
        let path = file.path(percentEncoded: false)
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard attributes?[.type] as? FileAttributeType == .typeRegular else {
            throw .malformed("Expected \(name) to be a file, found a folder or a device.")
        }
        let size = (attributes?[.size] as? NSNumber)?.intValue ?? 0
        guard size <= Self.largestFileMiB << 20 else {
            throw .malformed(
                "\(name) has \(size) bytes, expected at most \(Self.largestFileMiB) MiB."
            )
        }
        do {
            return [UInt8](try Data(contentsOf: file))
        } catch {
            throw .malformed("\(name) cannot be read: \(error.localizedDescription).")
        }
    }
}
