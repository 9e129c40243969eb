// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// The diffusers folder layout: required files, and errors for missing ones.
enum ModelLayout {
    /// The file that identifies a model folder.
    static let indexName = "model_index.json"

    private static let components = ["text_encoder", "tokenizer", "transformer", "vae"]
    private static let configs = [
        "transformer/config.json", "text_encoder/config.json", "vae/config.json",
    ]

    private static let schedulerConfig = "scheduler/scheduler_config.json"

    /// Whether `url` is a complete folder in the diffusers layout; otherwise it is a file of weights or
    /// a folder of such files.
    ///
    /// - Throws: `CheckpointError` of code `notFound`, `unreadable`, `denied`, `incomplete` or `unsupported`.
    static func isFolder(_ url: URL) throws(CheckpointError) -> Bool {
        let path = url.path.quoted
        guard FileKind(url) == .folder else {
            if FileKind(url) == .file, WeightFile.isNamed(url.lastPathComponent) { return false }
            throw notFolder(url)
        }
        let names = try folderContents(url)
        guard names.contains(indexName) else {
            let isPart =
                names.contains("config.json")
                || components.contains { part in
                    names.contains(part)
                        && FileKind(url.appending(path: "\(part)/config.json")) == .file
                }
            if names.contains(ManifestFile.name) { return false }
            guard !isPart, !names.contains("snapshots"),
                !(try ModelParts.weightFiles(in: url)).isEmpty
            else { throw noIndex(path, names) }
            return false
        }
        try checkAccess(components.map { url.appending(path: $0) })
        let missing = components.filter { FileKind(url.appending(path: $0)) != .folder }
        guard missing.isEmpty else {
            throw CheckpointError(
                code: .incomplete,
                message: "\(path) lacks the \(missing.count == 1 ? "folder" : "folders")"
                    + " \(missing.listed()), expected the whole model.",
                remedy: "Download the model again, with all its folders.")
        }
        // A folder without a scheduler is a repack of Turbo; one with half a scheduler is broken.
        let scheduler = FileKind(url.appending(path: "scheduler")) == .folder
        let files = configs + (scheduler ? [schedulerConfig] : [])
        let absent = files.filter { FileKind(url.appending(path: $0)) == .nothing }
        guard absent.isEmpty else {
            throw CheckpointError(
                code: .incomplete,
                message: "\(path) lacks \(absent.listed()), expected the whole model.",
                remedy: "Download the model again, with all its files.")
        }
        return true
    }

    /// Refuses a model with a folder that this user may not read: it is not incomplete.
    private static func checkAccess(_ folders: [URL]) throws(CheckpointError) {
        for folder in folders where FileKind(folder) != .nothing {
            guard FileKind.barrier(before: folder.path) == nil else {
                throw CheckpointError(denied: folder)
            }
        }
    }

    /// An error about a missing component.
    static func lacks(_ component: ModelComponent, _ url: URL) -> CheckpointError {
        CheckpointError(
            code: .incomplete,
            message: "\(url.path.quoted) lacks the \(component.title), expected the whole model.",
            remedy: "Download the model again, with all its files.")
    }

    private static func notFolder(_ url: URL) -> CheckpointError {
        let path = url.path.quoted
        if FileKind(url) == .hidden { return CheckpointError(denied: url) }
        guard FileKind(url) == .file else {
            return CheckpointError(
                code: .notFound, message: "The model folder \(path) does not exist.",
                remedy: "Check the path or the model's name.")
        }
        let name = url.lastPathComponent
        let kind =
            if name == indexName {
                "a file inside a model folder"
            } else if ForeignFormat(fileName: name) == .pickle {
                "a PyTorch pickle, which can run code and is not read"
            } else {
                "a file"
            }
        return CheckpointError(
            code: .unreadable,
            message: "\(path) is \(kind), expected a model folder or a .safetensors or .gguf file.",
            remedy: "Give the folder that holds model_index.json.")
    }

    /// An error with the most probable explanation of a folder without an index.
    private static func noIndex(_ path: String, _ names: [String]) -> CheckpointError {
        let code: CheckpointError.Code
        let found: String
        var remedy = "Use a model folder in the diffusers layout."
        if names.isEmpty {
            (code, found) = (.incomplete, "it is empty")
        } else if names.contains("snapshots") {
            (code, found) = (.incomplete, "this looks like a download cache")
            remedy = "Give the folder below 'snapshots'."
        } else if components.contains(where: names.contains) {
            (code, found) = (.incomplete, "this looks like an incomplete download")
            remedy = "Download the model again, with all its files."
        } else if names.contains("config.json") {
            (code, found) = (.unsupported, "this looks like one component of a model")
            remedy = "Give the folder above it."
        } else if let file = names.first(where: { ForeignFormat(fileName: $0) == .pickle }) {
            code = .unsupported
            found = "this looks like a PyTorch pickle (\(file.quoted)), which is not read"
        } else {
            (code, found) = (.incomplete, "found \(names.listed(limit: 4))")
        }
        return CheckpointError(
            code: code, message: "\(path) has no model_index.json: \(found).", remedy: remedy)
    }
}
