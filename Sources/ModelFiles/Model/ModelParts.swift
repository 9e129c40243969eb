// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// The locations of a model's components: folders of the diffusers layout, or files of weights.
///
/// The components in a file of weights are recognised by tensor names. `files` of `inkstone.json`
/// takes precedence over everything else.
struct ModelParts: Sendable {
    /// The file of a component; a component without one is in its folder.
    var files: [ModelComponent: URL] = [:]
    /// The tokenizer's folder, or a GGUF file that contains it.
    var tokenizer: URL
    /// The kind according to `inkstone.json` or a file name.
    var kind: ModelKind?

    private static let keys: [(String, ModelComponent)] = [
        ("transformer", .transformer), ("text_encoder", .textEncoder), ("vae", .autoencoder),
        ("preview", .preview),
    ]
    /// Maximum depth of folders, and number of files, that are searched.
    private static let (depth, limit) = (3, 200)

    // MARK: Folders of the diffusers layout

    /// The components of a folder in the diffusers layout, with those that its `inkstone.json` replaces.
    init(layoutOf folder: URL) throws(CheckpointError) {
        tokenizer = folder.appending(path: "tokenizer")
        try readManifest(folder)
    }

    /// Reads `files` and `kind` from `inkstone.json`, if it exists.
    private mutating func readManifest(_ folder: URL) throws(CheckpointError) {
        guard let reader = try ManifestFile(in: folder)?.reader else { return }
        if let text = try reader.string("kind") {
            guard let kind = ModelKind(name: text) else {
                throw reader.bad("kind", .string(text), expected: "'turbo' or 'base'")
            }
            self.kind = kind
        }
        guard let object = try reader.object("files") else { return }
        try object.requireKnown(Self.keys.map(\.0) + ["tokenizer"])
        for (key, component) in Self.keys {
            guard let path = try object.string(key) else { continue }
            let file = URL(filePath: path, relativeTo: folder.asFolder).standardizedFileURL
            guard FileKind(file) != .hidden else { throw CheckpointError(denied: file) }
            guard FileKind(file) == .file else {
                throw object.bad(key, .string(path), expected: "a file that exists")
            }
            files[component] = file
        }
        if let path = try object.string("tokenizer") {
            tokenizer = URL(filePath: path, relativeTo: folder.asFolder).standardizedFileURL
            guard FileKind(tokenizer) != .nothing else {
                throw object.bad(
                    "tokenizer", .string(path), expected: "a folder or GGUF file that exists")
            }
        }
    }

    // MARK: Files

    /// Finds the components of a model that consists of files of weights.
    ///
    /// - Parameter url: a folder of such files, or one of them; the others are searched beside it.
    /// - Throws: `CheckpointError` of code `incomplete` that lists what is missing, or `unsupported`
    ///   if there are several files of a component.
    init(filesAt url: URL) throws(CheckpointError) {
        let isFile = FileKind(url) == .file
        var folder = isFile ? url.deletingLastPathComponent() : url
        // ComfyUI's folders: the components are in sibling folders.
        let isSorted = ["diffusion_models", "unet", "checkpoints"].contains(
            folder.lastPathComponent)
        if isFile, isSorted { folder.deleteLastPathComponent() }
        tokenizer = folder.appending(path: "tokenizer")
        if !isFile { try readManifest(folder) }
        if isFile {
            let own = try Self.components(of: url)
            guard !own.isEmpty else { throw Self.useless(url) }
            for component in own { files[component] = url }
        }
        if !isComplete { try look(in: folder) }
        let missing = ModelComponent.allCases.filter { $0 != .preview && files[$0] == nil }
        guard missing.isEmpty else {
            for file in try isFile ? [url] : Self.weightFiles(in: folder) {
                if let error = Self.quantised(file) { throw error }
            }
            throw CheckpointError(
                code: .incomplete,
                message: "\(url.path.quoted) lacks the"
                    + " \(missing.map(\.title).joined(separator: " and the ")), expected files of"
                    + " weights for all parts of a model.",
                remedy: "Put the missing files into the folder, or name them under 'files' in its"
                    + " inkstone.json.")
        }
        try findTokenizer(folder)
        if kind == nil {
            kind = files[.transformer].map { ModelKind(fileName: $0.lastPathComponent) }
        }
    }

    private var isComplete: Bool { ModelComponent.allCases.allSatisfy { files[$0] != nil } }

    private mutating func look(in folder: URL) throws(CheckpointError) {
        var candidates: [ModelComponent: [URL]] = [:]
        for url in try Self.weightFiles(in: folder) {
            for component in try Self.components(of: url) {
                candidates[component, default: []].append(url)
            }
        }
        for (component, urls) in candidates.sorted(by: { $0.key.rawValue < $1.key.rawValue })
        where files[component] == nil {
            guard urls.count == 1 else {
                throw CheckpointError(
                    code: .unsupported,
                    message: "\(folder.path.quoted) holds several files with a \(component.title)"
                        + " (\(urls.map(\.lastPathComponent).listed())), expected one.",
                    remedy: "Name the one to use under 'files' in its inkstone.json, or give the"
                        + " transformer's file in place of the folder.")
            }
            files[component] = urls[0]
        }
    }

    /// Files of weights in a folder and its subfolders.
    static func weightFiles(in folder: URL, depth: Int = depth) throws(CheckpointError) -> [URL] {
        var found: [URL] = []
        for name in try folderContents(folder) {
            let url = folder.appending(path: name)
            switch FileKind(url) {
            case .file where WeightFile.isNamed(name): found.append(url)
            case .folder where depth > 0: found += try weightFiles(in: url, depth: depth - 1)
            default: break
            }
            guard found.count <= limit else {
                throw CheckpointError(
                    code: .unsupported,
                    message: "\(folder.path.quoted) holds more than \(limit) files of weights,"
                        + " expected the parts of one model.",
                    remedy: "Give the transformer's file in place of the folder.")
            }
        }
        return found
    }

    /// The components in a file, by tensor names.
    private static func components(of url: URL) throws(CheckpointError) -> [ModelComponent] {
        ModelComponent.found(in: try names(of: url)).keys.sorted { $0.rawValue < $1.rawValue }
    }

    private static func names(of url: URL) throws(CheckpointError) -> [String] {
        if ForeignFormat(fileName: url.lastPathComponent) == .gguf {
            return try GGUFFile(url: url).names
        }
        return Array(try SafetensorsFile(url: url).tensors.keys)
    }

    /// The error about a file whose tensors are quantised in a format that is not read, if it is one.
    private static func quantised(_ url: URL) -> CheckpointError? {
        var found = ""
        guard let names = try? names(of: url),
            let format = ForeignQuantization(tensors: Set(names), found: &found)
        else { return nil }
        return format.error(url.path.quoted, "it has the tensor \(found.quoted)")
    }

    private static func useless(_ url: URL) -> CheckpointError {
        if let error = quantised(url) { return error }
        let names = (try? names(of: url)) ?? []
        let found =
            ModelComponent.stranger(Set(names))
            ?? "a file with tensors such as \(names.sorted().prefix(2).map { $0 }.listed())"
        return CheckpointError(
            code: .unsupported,
            message: "\(url.path.quoted) is \(found), expected a part of a Z-Image model.",
            remedy: "Give the file of a Z-Image transformer, or a model folder.")
    }

    // MARK: Tokenizer

    private mutating func findTokenizer(_ folder: URL) throws(CheckpointError) {
        if FileKind(tokenizer) != .nothing { return }
        if FileKind(folder.appending(path: "tokenizer.json")) == .file
            || FileKind(folder.appending(path: "vocab.json")) == .file
        {
            tokenizer = folder
        } else if let text = files[.textEncoder], ForeignFormat(fileName: text.path) == .gguf {
            tokenizer = text
        } else {
            throw CheckpointError(
                code: .incomplete,
                message: "\(folder.path.quoted) has no tokenizer, which files of weights do not"
                    + " hold: expected a folder 'tokenizer' with tokenizer.json, or with vocab.json"
                    + " and merges.txt.",
                remedy: "Copy the folder 'tokenizer' of Tongyi-MAI/Z-Image-Turbo there, or use a"
                    + " text encoder in GGUF.")
        }
    }
}

extension URL {
    /// The same path as a base of relative ones.
    fileprivate var asFolder: URL { URL(filePath: path, directoryHint: .isDirectory) }
}

extension ModelKind {
    /// The kind with a name in `inkstone.json`.
    init?(name: String) {
        switch name {
        case "turbo": self = .turbo
        case "base": self = .base
        default: return nil
        }
    }

    /// The kind according to a file name: Turbo, unless it is named base or like the file of the base
    /// model.
    init(fileName: String) {
        let words = fileName.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
        // `z_image_bf16.safetensors`, `z-image-Q4_K_M.gguf`: the name and a number format alone.
        let isReleased =
            words.count > 2 && words.prefix(2) == ["z", "image"] && Self.isNumberFormat(words[2])
        let isBase = words.contains("base") || isReleased
        self = isBase && !words.contains("turbo") ? .base : .turbo
    }

    private static func isNumberFormat(_ word: String) -> Bool {
        let letters = word.prefix { !$0.isNumber }
        return ["bf", "fp", "f", "int", "nvfp", "mxfp", "q", "iq"].contains(String(letters))
            && letters.count < word.count
    }

    /// The noise schedule of the release of this kind.
    var scheduler: SchedulerConfig { self == .turbo ? .turbo : SchedulerConfig(shift: 6) }
}
