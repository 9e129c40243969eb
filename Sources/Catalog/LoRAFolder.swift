// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import Parameters
import ZImage

/// The LoRA files of a folder and its subfolders, with the names by which requests use them.
///
/// A file is called by its name without folder and ending, the file of a folder that PEFT or diffusers saved by the name of
/// that folder. Of files with the same name the one nearest to the top counts.
public struct LoRAFolder: Sendable {
    /// A file that requests may use.
    public struct File: Sendable, Equatable {
        /// Name for requests.
        public var name: String
        /// Path in the folder, without the ending.
        public var path: String
        /// The file.
        public var url: URL
    }

    /// A file that cannot be used.
    public struct Skipped: Sendable, Equatable, Encodable {
        /// Path in the folder.
        public var file: String
        /// Why, as a clause.
        public var reason: String
    }

    /// The files, those nearest to the top first.
    public private(set) var files: [File] = []
    /// Files that look like LoRA files and cannot be used.
    public private(set) var skipped: [Skipped] = []

    /// Formats that can run code when they are read, or that nothing here reads.
    private static let otherEndings = [".pt", ".pth", ".ckpt", ".bin", ".gguf"]

    /// Lists a folder; empty if there is none.
    public init(_ folder: URL) {
        var names: [String: String] = [:]
        var found: [(url: URL, path: String)] = []
        let walk = FolderWalk(folder) { url, path in
            let isFile =
                path.withoutEnding(FolderWalk.ending) != nil
                || Self.otherEndings.contains(where: path.lowercased().hasSuffix)
            if isFile { found.append((url, path)) }
            return !isFile
        }
        for (url, path) in found {
            if path.withoutEnding(FolderWalk.ending) != nil {
                add(url, path, &names)
            } else {
                skipped.append(
                    .init(file: path, reason: "only \(FolderWalk.ending) files can be used"))
            }
        }
        skipped += walk.unreadable.map {
            .init(file: $0, reason: "this user may not read the folder (permission denied)")
        }
    }

    private mutating func add(_ url: URL, _ path: String, _ names: inout [String: String]) {
        let parts = path.split(separator: "/").map(String.init)
        let isUsual = LoRAConfiguration.isUsualName(parts[parts.count - 1]) && parts.count > 1
        let file = parts[parts.count - 1]
        let name = isUsual ? parts[parts.count - 2] : file.withoutEnding(FolderWalk.ending) ?? ""
        guard LoRAScale.isName(name) else {
            skipped.append(
                .init(
                    file: path,
                    reason: "its name must have \(LoRAScale.nameRule), so that requests can use it")
            )
            return
        }
        if let first = names[name] {
            skipped.append(.init(file: path, reason: "\(first) has the same name"))
            return
        }
        names[name] = path
        files.append(
            File(name: name, path: path.withoutEnding(FolderWalk.ending) ?? path, url: url))
    }
}
