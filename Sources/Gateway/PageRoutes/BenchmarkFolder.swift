// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// The result folders of `imgbench`, one for each run.
struct BenchmarkFolder: Sendable {
    /// The files of a run that are served, with their types.
    static let files = [
        "summary.json": "application/json; charset=utf-8",
        "table.md": "text/markdown; charset=utf-8",
        "report.html": "text/html; charset=utf-8",
    ]
    private static let maximumBytes = 64 << 20
    private static let maximumRuns = 500

    let url: URL

    /// A run and its files.
    struct Run: Encodable {
        var name: String
        var files: [String]
    }

    /// All runs, the newest first: their names begin with the time.
    var runs: [Run] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        return names.filter(Self.isName).sorted(by: >).prefix(Self.maximumRuns).compactMap { name in
            let files = Self.files.keys.sorted().filter { path(of: $0, in: name) != nil }
            return files.isEmpty ? nil : Run(name: name, files: files)
        }
    }

    /// The bytes of a file, or `nil` if there is none that may be served.
    func read(_ file: String, of run: String) -> [UInt8]? {
        guard let path = path(of: file, in: run),
            let data = try? Data(contentsOf: URL(filePath: path))
        else { return nil }
        return [UInt8](data)
    }

    /// The path of a regular file in a regular folder: symbolic links could refer to any file.
    private func path(of file: String, in run: String) -> String? {
        guard Self.isName(run), Self.files[file] != nil else { return nil }
        let folder = url.appending(path: run)
        let path = folder.appending(path: file).path
        let manager = FileManager.default
        guard
            let outer = try? manager.attributesOfItem(atPath: folder.path),
            outer[.type] as? FileAttributeType == .typeDirectory,
            let inner = try? manager.attributesOfItem(atPath: path),
            inner[.type] as? FileAttributeType == .typeRegular,
            let size = inner[.size] as? NSNumber, size.intValue <= Self.maximumBytes
        else { return nil }
        return path
    }

    /// Whether a text is one component of a path, and not a hidden one.
    private static func isName(_ text: String) -> Bool {
        text.isPlainName(atMost: 200, notBeginningWith: ".")
    }
}
