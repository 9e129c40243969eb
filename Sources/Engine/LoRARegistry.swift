// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import ModelFiles
public import Parameters
import Synchronization

/// LoRA files that requests may name: those of the data folder, and those that come with models.
///
/// The folders are read anew at every question, so that a file is there as soon as somebody puts it
/// there. A name that both have is the data folder's.
public struct LoRARegistry: Sendable {
    /// A file.
    public struct Entry: Sendable, Equatable {
        /// Name for requests.
        public var name: String
        /// The file.
        public var url: URL
        /// Strength where a request names none.
        public var scale: Double
        /// Whether it lies in the data folder.
        public var isOwn: Bool
    }

    /// Where files are added; `nil` where none may be.
    public let folder: URL?
    private let modelFolders: ModelFolders
    /// Files of machines that draw for this one.
    public var elsewhere: (@Sendable () -> [LoRAScale])?

    private static let ending = ".safetensors"

    /// Files of a folder and of models.
    public init(folder: URL? = nil, models: [URL] = []) {
        self.folder = folder
        modelFolders = ModelFolders(models)
    }

    /// Folders of models, each of which may have a folder `loras`.
    public var models: [URL] { modelFolders.all }

    /// Offers the files of these models from now on; all copies of the registry do.
    public func offer(models: [URL]) { modelFolders.all = models }

    /// All files, sorted by name.
    public var entries: [Entry] {
        var byName: [String: Entry] = [:]
        for model in models {
            let scales = Self.scales(in: model)
            for entry in Self.list(model.appending(path: "loras"), isOwn: false)
            where byName[entry.name] == nil {
                var entry = entry
                entry.scale = scales[entry.name] ?? 1
                byName[entry.name] = entry
            }
        }
        if let folder {
            for entry in Self.list(folder, isOwn: true) { byName[entry.name] = entry }
        }
        return byName.values.sorted { $0.name < $1.name }
    }

    /// What requests may name: the files here, and those of machines that draw for this one.
    public var offers: [LoRAScale] {
        let own = entries.map { LoRAScale($0.name, scale: $0.scale) }
        let known = Set(own.map(\.name))
        let others = (elsewhere?() ?? []).filter { !known.contains($0.name) }
        return (own + others).sorted { $0.name < $1.name }
    }

    /// The name that a request names, and its strength.
    ///
    /// - Throws: `RequestError` that lists the names there are.
    public func offer(_ name: String) throws(RequestError) -> LoRAScale {
        let offers = offers
        guard let offer = offers.first(where: { $0.name == name }) else {
            throw unknown(name, offers.map(\.name))
        }
        return offer
    }

    /// The file of a name.
    ///
    /// - Throws: `RequestError` that lists the names there are.
    public func find(_ name: String) throws(RequestError) -> Entry {
        let entries = entries
        if let entry = entries.first(where: { $0.name == name }) { return entry }
        throw unknown(name, entries.map(\.name))
    }

    private func unknown(_ name: String, _ names: [String]) -> RequestError {
        RequestError(
            field: "loras",
            message: "there is no LoRA \(LoRAScale.quoted(name)); "
                + (names.isEmpty
                    ? "put its file into the folder 'loras' of the data folder."
                    : "this server has \(names.prefix(20).joined(separator: ", "))."))
    }

    /// Where a file of that name goes.
    ///
    /// - Throws: `RequestError` for a name that is none, and where files cannot be added.
    public func destination(_ name: String) throws(RequestError) -> URL {
        guard LoRAScale.isName(name) else {
            throw RequestError(
                field: "name",
                message: "name must be a file name of 1 to 128 characters without / \\ < > : and"
                    + " without a dot at its beginning, got \(LoRAScale.quoted(name)).")
        }
        guard let folder else {
            throw RequestError(
                field: "name", message: "this server has no folder that LoRA files go to.")
        }
        return folder.appending(path: name + Self.ending)
    }

    private static func list(_ folder: URL, isOwn: Bool) -> [Entry] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.compactMap { file in
            guard file.hasSuffix(ending) else { return nil }
            let name = String(file.dropLast(ending.count))
            guard LoRAScale.isName(name) else { return nil }
            return Entry(name: name, url: folder.appending(path: file), scale: 1, isOwn: isOwn)
        }
    }

    /// Strengths that a model's `inkstone.json` gives its files:
    /// `"loras": [{"name": "pixel", "scale": 0.8}]`.
    private static func scales(in model: URL) -> [String: Double] {
        struct Manifest: Decodable {
            struct Row: Decodable {
                var name: String
                var scale: Double?
            }
            var loras: [Row]?
        }
        guard let data = try? Data(contentsOf: model.appending(path: "inkstone.json")),
            let manifest = try? JSONDecoder().decode(Manifest.self, from: data)
        else { return [:] }
        return Dictionary(
            (manifest.loras ?? []).compactMap { row in row.scale.map { (row.name, $0) } },
            uniquingKeysWith: { first, _ in first })
    }
}

/// Models come and go while a service runs.
private final class ModelFolders: Sendable {
    private let folders: Mutex<[URL]>

    init(_ folders: [URL]) { self.folders = Mutex(folders) }

    var all: [URL] {
        get { folders.withLock { $0 } }
        set { folders.withLock { $0 = newValue } }
    }
}
