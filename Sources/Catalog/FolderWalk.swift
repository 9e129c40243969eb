// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// The items of a folder and its subfolders, those nearest to the top first.
struct FolderWalk {
    /// Files of weights that requests may name.
    static let ending = ".safetensors"

    private static let depthLimit = 4
    private static let countLimit = 10_000

    /// Paths of the folders that this user may not read, the folder itself as its name.
    private(set) var unreadable: [String] = []

    /// Visits the items; hidden ones are left out.
    ///
    /// - Parameters:
    ///   - folder: a folder; one that does not exist has no items.
    ///   - visit: called with the item and its path in the folder. Returns whether to visit what is in the item, if it is a
    ///     folder.
    init(_ folder: URL, visit: (_ url: URL, _ path: String) -> Bool) {
        var folders = [(url: folder, path: "")]
        var count = 0
        for depth in 0...Self.depthLimit {
            var below: [(url: URL, path: String)] = []
            for folder in folders.sorted(by: { $0.path < $1.path }) {
                for name in names(in: folder.url, folder.path) {
                    count += 1
                    guard count <= Self.countLimit else { return }
                    let url = folder.url.appending(path: name)
                    let path = folder.path.isEmpty ? name : "\(folder.path)/\(name)"
                    if visit(url, path), depth < Self.depthLimit, FileKind(url) == .folder {
                        below.append((url, path))
                    }
                }
            }
            folders = below
        }
    }

    private mutating func names(in folder: URL, _ path: String) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder.path)
                .filter { !$0.hasPrefix(".") }.sorted()
        } catch {
            if FileKind.barrier(before: folder.path) != nil {
                unreadable.append(path.isEmpty ? folder.lastPathComponent : path)
            }
            return []
        }
    }
}
