// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import ModelFiles

/// Finds models by name in the folders of the user and of the program.
public struct ModelLocator: Sendable {
    /// Name of the built-in model.
    public static let embeddedModel = "emoji-nano"

    /// Folders of model folders, in order of precedence.
    public let roots: [URL]

    /// The folder of the user's models, where new ones are installed; `nil` without a home folder.
    public let userRoot: URL?

    /// Creates a locator of `INKSTONE_MODELS`, the user's data folder, and the program's folders.
    public init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        var roots: [URL] = []
        if let path = environment["INKSTONE_MODELS"], !path.isEmpty {
            roots += path.split(separator: ":").map { URL(filePath: String($0)) }
        }
        if let data = environment["XDG_DATA_HOME"], !data.isEmpty {
            roots.append(URL(filePath: data).appending(path: "inkstone/models"))
        } else if let home = environment["HOME"], !home.isEmpty {
            roots.append(URL(filePath: home).appending(path: ".local/share/inkstone/models"))
        }
        userRoot = roots.first
        if let program = Self.program {
            // Installed: PREFIX/bin/inkstone with PREFIX/share/inkstone/models.
            let folder = program.deletingLastPathComponent()
            roots.append(
                folder.deletingLastPathComponent().appending(path: "share/inkstone/models"))
            // Built from a checkout: Models is a sibling of the build folder.
            var parent = folder
            for _ in 0..<6 {
                roots.append(parent.appending(path: "Models"))
                parent = parent.deletingLastPathComponent()
            }
        }
        self.roots = roots
    }

    private static var program: URL? {
        let link = "/proc/self/exe"
        if let path = try? FileManager.default.destinationOfSymbolicLink(atPath: link) {
            return URL(filePath: path)
        }
        return CommandLine.arguments.first.map { URL(filePath: $0) }
    }

    /// The folder of a model, given by name or path.
    ///
    /// - Throws: `CheckpointError` of code `notFound` that lists the known models.
    public func locate(_ model: String) throws -> URL {
        let path = URL(filePath: model)
        if model.contains("/") || FileManager.default.fileExists(atPath: path.path) {
            return path
        }
        for root in roots {
            let folder = root.appending(path: model)
            if ModelDirectory.isModel(folder) { return folder }
        }
        // Opening a folder that this user may not read says so.
        let folders = roots.map { $0.appending(path: model) }
        if let folder = folders.first(where: Self.isWithheld) { return folder }
        let known = entries.map(\.name)
        throw CheckpointError(
            code: .notFound,
            message: "there is no model '\(model)'.",
            remedy: known.isEmpty
                ? "Give the path of a model folder with --model."
                : "Known models are \(known.joined(separator: ", ")); or give a folder's path.")
    }

    private static func isWithheld(_ folder: URL) -> Bool {
        FileKind(folder) == .folder && FileKind.barrier(before: folder.path) != nil
    }

    /// All models, each name once, in order of the folders.
    public var entries: [CatalogEntry] {
        var seen: Set<String> = []
        var found: [CatalogEntry] = []
        for root in roots {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
            for name in names.sorted() where !name.hasPrefix(".") && !seen.contains(name) {
                let folder = root.appending(path: name)
                guard ModelDirectory.isModel(folder) else { continue }
                seen.insert(name)
                found.append(CatalogEntry(folder, userRoot: userRoot))
            }
        }
        return found
    }
}
