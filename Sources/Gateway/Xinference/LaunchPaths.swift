// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import HTTPTypes
import Logging
import ModelFiles
import Service

/// The files that a launch may name, and what its answers say about them.
///
/// Reading a model's folder reports what is wrong with it: names of files, and where a file begins in an
/// unexpected way. Clients receive these reports about the server's own folders of models only. About any
/// other path the answer is always the same, so that a launch does not show what exists on the machine.
struct LaunchPaths: Sendable {
    /// Finds models by name, in the server's folders of models.
    let locator: ModelLocator
    /// Folders of models and LoRA files that the command line named.
    let folders: [URL]
    /// Whether paths outside all of these may be named.
    let allowsOthers: Bool

    /// The folder of a model.
    ///
    /// - Parameters:
    ///   - name: its name among the server's models, or an absolute path.
    ///   - path: its path, if one is given.
    /// - Returns: the folder, which need not be a usable model.
    /// - Throws: `APIError` 404 for an unknown name, 403 for a path that may not be named.
    func model(_ name: String, at path: String?) throws(APIError) -> URL {
        if let path { return try file(path, "model_path") }
        if name.hasPrefix("/") { return try file(name, "model_name") }
        let entries = locator.entries
        guard let entry = entries.first(where: { $0.name == name }) else {
            let known = entries.map(\.name).joined(separator: ", ")
            throw APIError(
                .notFound, code: "model_not_found",
                "There is no model \(JSONValue.string(name).summary); this server has"
                    + " \(known.isEmpty ? "none" : known).")
        }
        return entry.folder
    }

    /// A file or folder that a field names.
    ///
    /// - Throws: `APIError` 403 for a path that may not be named.
    func file(_ path: String, _ field: String) throws(APIError) -> URL {
        let url = URL(filePath: path).standardizedFileURL
        guard allowsOthers || isKnown(url) else {
            throw APIError(
                .forbidden, type: "permission_error", code: "path_not_allowed", parameter: field,
                "\(field) must be below one of the server's folders of models; other paths need a"
                    + " key of the scope admin, or a server without keys on a loopback address.")
        }
        return url
    }

    /// Whether a file is in one of the server's folders, as it is written or with links resolved.
    func isKnown(_ url: URL) -> Bool {
        let paths = [url.standardizedFileURL.path, url.canonicalPath]
        return (locator.roots + folders).contains { root in
            zip(paths, [root.standardizedFileURL.path, root.canonicalPath]).contains {
                $0 == $1 || $0.hasPrefix($1 + "/")
            }
        }
    }

    /// The error of a launch as clients may see it; its details are logged.
    func error(_ error: any Error, of launch: ModelLaunch, _ logger: Logger) -> any Error {
        let message: String
        switch error {
        case let error as CheckpointError: message = error.description
        case let error as LaunchError
        where [.usage, .badFile, .notFound, .failed].contains(error.code):
            message = error.message
        default: return error
        }
        logger.warning(
            "a model was not launched",
            metadata: ["model": .string(launch.folder.path), "error": .string(message)])
        let files = [launch.folder] + launch.loras.map(\.file)
        guard let other = files.first(where: { !isKnown($0) }) else {
            return APIError(
                .badRequest, code: "model_unusable",
                files.reduce(message) { $0.replacing($1.path, with: $1.lastPathComponent) })
        }
        let kind = other == launch.folder ? "model folder" : "LoRA file"
        return APIError(
            .badRequest, code: "model_unusable",
            "\(JSONValue.string(other.path).summary) is not a \(kind) that this server can use; its"
                + " log has the reason.")
    }
}
