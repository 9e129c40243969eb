// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import ModelFiles

/// Finds models by name: in folders of the user, and the ones that come with the program.
public struct ModelLocator: Sendable {
    /// Name of the model that comes with the program.
    public static let embeddedModel = "emoji-nano"

    /// Folders that hold one folder a model, in order of preference.
    public let roots: [URL]

    /// The folder that models of the user's own are put into; `nil` where there is no home.
    public let userRoot: URL?

    /// Looks in `INKSTONE_MODELS`, in the user's data folder, and beside the program.
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
            // Built from a checkout: Models is beside the build folder.
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

    /// The folder of a model that is named, or given as a path.
    ///
    /// - Throws: `CheckpointError` of code `notFound` that lists the models there are.
    public func locate(_ model: String) throws -> URL {
        let path = URL(filePath: model)
        if model.contains("/") || FileManager.default.fileExists(atPath: path.path) {
            return path
        }
        for root in roots {
            let folder = root.appending(path: model)
            if isModel(folder) { return folder }
        }
        let known = all().map(\.lastPathComponent)
        throw CheckpointError(
            code: .notFound,
            message: "there is no model '\(model)'.",
            remedy: known.isEmpty
                ? "Give the path of a model folder with --model."
                : "Known models are \(known.joined(separator: ", ")); or give a folder's path.")
    }

    /// Folders of all models, each name once.
    public func all() -> [URL] {
        var seen: Set<String> = []
        var found: [URL] = []
        for root in roots {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
            for name in names.sorted() where !name.hasPrefix(".") && !seen.contains(name) {
                let folder = root.appending(path: name)
                if isModel(folder) {
                    seen.insert(name)
                    found.append(folder)
                }
            }
        }
        return found
    }

    private func isModel(_ folder: URL) -> Bool { ModelDirectory.isModel(folder) }
}
