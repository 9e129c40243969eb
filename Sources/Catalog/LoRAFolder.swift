// Part of Inkstone. Licence: see LICENSE.

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

    private static let ending = ".safetensors"
    /// Formats that can run code when they are read, or that nothing here reads.
    private static let otherEndings = [".pt", ".pth", ".ckpt", ".bin", ".gguf"]
    private static let depthLimit = 4
    private static let countLimit = 10_000

    /// Lists a folder; empty if there is none.
    public init(_ folder: URL) {
        var names: [String: String] = [:]
        var folders = [(url: folder, path: "")]
        var count = 0
        for depth in 0...Self.depthLimit {
            var below: [(url: URL, path: String)] = []
            for folder in folders.sorted(by: { $0.path < $1.path }) {
                let found =
                    (try? FileManager.default.contentsOfDirectory(atPath: folder.url.path)) ?? []
                for entry in found.sorted() where !entry.hasPrefix(".") {
                    count += 1
                    guard count <= Self.countLimit else { return }
                    let url = folder.url.appending(path: entry)
                    let path = folder.path.isEmpty ? entry : "\(folder.path)/\(entry)"
                    if Self.stem(of: entry) != nil {
                        add(url, path, &names)
                    } else if Self.otherEndings.contains(where: entry.lowercased().hasSuffix) {
                        skipped.append(
                            .init(file: path, reason: "only \(Self.ending) files can be used"))
                    } else if depth < Self.depthLimit, Self.isFolder(url) {
                        below.append((url, path))
                    }
                }
            }
            folders = below
        }
    }

    private mutating func add(_ url: URL, _ path: String, _ names: inout [String: String]) {
        let parts = path.split(separator: "/").map(String.init)
        let isUsual = LoRAConfiguration.isUsualName(parts[parts.count - 1]) && parts.count > 1
        let name = isUsual ? parts[parts.count - 2] : Self.stem(of: parts[parts.count - 1]) ?? ""
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
        files.append(File(name: name, path: Self.stem(of: path) ?? path, url: url))
    }

    private static func isFolder(_ url: URL) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
            && isFolder.boolValue
    }

    /// Returns a name without the ending in any case; `nil` if it has another.
    static func stem(of name: String) -> String? {
        name.count > ending.count && name.suffix(ending.count).lowercased() == ending
            ? String(name.dropLast(ending.count)) : nil
    }
}
