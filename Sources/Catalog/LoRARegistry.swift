// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import ModelFiles
public import Parameters
import Synchronization

/// The LoRA files that requests may use: those of the data folder and those of models.
///
/// The folders are read on every access, so that added files are found at once. Files of the data
/// folder hide those of models with the same name.
public struct LoRARegistry: Sendable {
    /// A LoRA file.
    public struct Entry: Sendable, Equatable {
        /// Name for requests.
        public var name: String
        /// The file.
        public var url: URL
        /// Default scale.
        public var scale: Double
        /// Whether the file is in the data folder.
        public var isOwn: Bool
        /// Its path in the folder without the ending, by which requests may also name it.
        var path: String
    }

    /// The folder to which files are added; `nil` if none can be added.
    public let folder: URL?
    private let modelFolders: ModelFolders
    /// Files of the fleet's workers on other machines.
    public var elsewhere: (@Sendable () -> [LoRAScale])?

    /// Creates a registry of the files of a folder and of models.
    public init(folder: URL? = nil, models: [URL] = []) {
        self.folder = folder
        modelFolders = ModelFolders(models)
    }

    /// Folders of models; each may contain a folder `loras`.
    public var models: [URL] { modelFolders.all }

    /// Replaces the folders of models, for all copies of the registry.
    public func offer(models: [URL]) { modelFolders.all = models }

    /// The files of one look at the folders.
    public struct Listing: Sendable {
        /// All files, sorted by name.
        public fileprivate(set) var entries: [Entry] = []
        /// Files and folders of the data folder that look like LoRA files and cannot be used.
        public fileprivate(set) var skipped: [LoRAFolder.Skipped] = []
        /// Names and default scales of all files, here and on the fleet's workers.
        public fileprivate(set) var offers: [LoRAScale] = []

        /// Returns the name of a file that a request names in one of the ways there are: by its name or its path in
        /// the folder, with or without the ending.
        package func name(for stated: String) -> String {
            let plain = LoRARegistry.plainName(stated)
            guard plain.contains("/") else { return plain }
            return entries.first { $0.path == plain }?.name ?? plain
        }
    }

    /// Lists the folders, each of them once.
    public var listing: Listing {
        var listing = Listing()
        var byName: [String: Entry] = [:]
        for model in models {
            let scales = modelFolders.scales(of: model)
            let files = LoRAFolder(model.appending(path: "loras")).files
            for entry in Self.entries(files, isOwn: false) where byName[entry.name] == nil {
                var entry = entry
                entry.scale = scales[entry.name] ?? 1
                byName[entry.name] = entry
            }
        }
        if let folder {
            let list = LoRAFolder(folder)
            listing.skipped = list.skipped
            for entry in Self.entries(list.files, isOwn: true) { byName[entry.name] = entry }
        }
        listing.entries = byName.values.sorted { $0.name < $1.name }
        let others = (elsewhere?() ?? []).filter { byName[$0.name] == nil }
        listing.offers = (listing.entries.map { LoRAScale($0.name, scale: $0.scale) } + others)
            .sorted { $0.name < $1.name }
        return listing
    }

    /// All files, sorted by name.
    public var entries: [Entry] { listing.entries }

    /// Names and default scales of all files, here and on the fleet's workers.
    public var offers: [LoRAScale] { listing.offers }

    /// The default scale of a file.
    ///
    /// - Throws: `RequestError` that lists the known names.
    public func offer(_ name: String) throws(RequestError) -> LoRAScale {
        let listing = listing
        let known = listing.name(for: name)
        guard let offer = listing.offers.first(where: { $0.name == known }) else {
            throw unknown(name, listing)
        }
        return offer
    }

    /// The file of a name.
    ///
    /// - Throws: `RequestError` that lists the known names.
    public func find(_ name: String) throws(RequestError) -> Entry {
        let listing = listing
        let known = listing.name(for: name)
        if let entry = listing.entries.first(where: { $0.name == known }) { return entry }
        throw unknown(name, listing)
    }

    /// Returns a name as requests write it, without the ending.
    public static func plainName(_ name: String) -> String {
        name.withoutEnding(FolderWalk.ending) ?? name
    }

    /// The error for a name that is not among those of the registry.
    package func unknown(_ name: String, _ listing: Listing) -> RequestError {
        let names = listing.offers.map(\.name)
        return RequestError(
            field: "loras",
            message: "there is no LoRA \(name.quoted); "
                + (names.isEmpty
                    ? "put its file into the folder 'loras' of the data folder."
                    : "this server has \(names.prefix(20).joined(separator: ", "))."))
    }

    /// The URL for a new file.
    ///
    /// - Throws: `RequestError` for an invalid name, and if files cannot be added.
    public func destination(_ name: String) throws(RequestError) -> URL {
        guard LoRAScale.isName(name) else {
            throw RequestError(
                field: "name",
                message: "name must be a file name of \(LoRAScale.nameRule), got \(name.quoted).")
        }
        guard let folder else {
            throw RequestError(
                field: "name", message: "this server has no folder that LoRA files go to.")
        }
        return folder.appending(path: name + FolderWalk.ending)
    }

    private static func entries(_ files: [LoRAFolder.File], isOwn: Bool) -> [Entry] {
        files.map {
            Entry(name: $0.name, url: $0.url, scale: 1, isOwn: isOwn, path: $0.path)
        }
    }
}

/// Shared folders of models, which change while a service runs, with the scales in their manifests.
private final class ModelFolders: Sendable {
    private struct State {
        var folders: [URL]
        /// Scales by version of the manifest, which is read once.
        var scales: [FileStamp: [String: Double]] = [:]
    }

    private let state: Mutex<State>

    init(_ folders: [URL]) { state = Mutex(State(folders: folders)) }

    var all: [URL] {
        get { state.withLock { $0.folders } }
        set {
            state.withLock { state in
                state.folders = newValue
                state.scales = [:]
            }
        }
    }

    /// Default scales of the LoRA files of a model, by name; empty without a readable manifest.
    func scales(of model: URL) -> [String: Double] {
        let path = model.appending(path: ManifestFile.name).path
        guard let stamp = FileStamp(path: path) else { return [:] }
        if let known = state.withLock({ $0.scales[stamp] }) { return known }
        let scales = (try? ManifestFile(in: model))?.loraScales ?? [:]
        state.withLock { state in
            // Of each manifest the present version only.
            state.scales = state.scales.filter { $0.key.path != path }
            state.scales[stamp] = scales
        }
        return scales
    }
}
