// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import ModelFiles
public import Parameters
import Synchronization

/// The ControlNets that requests may use: those of the data folder, of models, and of pulled repositories.
///
/// A net is a file, or a folder in the diffusers layout, and may be in a subfolder. The folders are read on every access, so that added files
/// are found at once; of each file only the header is read, once for each of its versions.
public struct ControlNetRegistry: Sendable {
    /// A net.
    public struct Entry: Sendable, Equatable {
        /// Name for requests: that of the file without its ending, or of the folder.
        public var name: String
        /// The file or the folder.
        public var url: URL
        /// Its path in the folder without the ending, by which requests may also name it.
        var path: String

        /// Whether it is a folder, or is in it.
        package func isIn(_ folder: URL) -> Bool {
            url.canonicalPath == folder.canonicalPath
                || url.canonicalPath.hasPrefix(folder.canonicalPath + "/")
        }
    }

    /// The folder to which nets are added; `nil` if there is none.
    public let folder: URL?
    private let locations: Locations
    /// Names of nets of the fleet's workers on other machines.
    public var elsewhere: (@Sendable () -> [String])?
    /// Nets that are named by their paths.
    private let files: [URL]

    /// Creates a registry.
    ///
    /// - Parameters:
    ///   - folder: a folder of nets.
    ///   - models: folders of models; each may contain a folder `controlnets`.
    ///   - roots: folders of model folders, some of which may hold nets instead.
    ///   - files: further nets.
    public init(
        folder: URL? = nil, models: [URL] = [], roots: [URL] = [], files: [URL] = []
    ) {
        self.folder = folder
        self.files = files
        locations = Locations(models: models, roots: roots)
    }

    /// Replaces the folders of models, for all copies of the registry.
    public func offer(models: [URL]) { locations.setModels(models) }

    /// All nets, sorted by name; of several with one name those of the data folder, then of models, come first.
    public var entries: [Entry] { listing.entries }

    /// Folders of nets that this user may not read.
    public var unreadable: [String] { listing.unreadable }

    private var listing: (entries: [Entry], unreadable: [String]) {
        var byName: [String: Entry] = [:]
        var unreadable: [String] = []
        for file in files {
            let name = Self.plainName(file.lastPathComponent)
            byName[name] = Entry(name: name, url: file, path: name)
        }
        var folders = locations.models.map { $0.appending(path: "controlnets") }
        if let folder { folders.insert(folder, at: 0) }
        for folder in folders {
            for entry in nets(in: folder, &unreadable) where byName[entry.name] == nil {
                byName[entry.name] = entry
            }
        }
        for root in locations.roots {
            for name in Self.names(in: root) {
                for entry in pulled(root.appending(path: name)) where byName[entry.name] == nil {
                    byName[entry.name] = entry
                }
            }
        }
        return (byName.values.sorted { $0.name < $1.name }, unreadable)
    }

    /// The net of a name.
    ///
    /// - Throws: `RequestError` that lists the known names.
    public func find(_ name: String) throws(RequestError) -> Entry {
        let (entries, unreadable) = listing
        if let entry = Self.entry(name, in: entries) { return entry }
        throw unknown(name, entries.map(\.name), unreadable)
    }

    /// Names of all nets, here and on the fleet's workers.
    public var offers: [String] {
        Set(entries.map(\.name) + (elsewhere?() ?? [])).sorted()
    }

    /// The name by which a net is known, here or on the fleet's workers.
    ///
    /// - Throws: `RequestError` that lists the known names.
    public func offer(_ name: String) throws(RequestError) -> String {
        let (entries, unreadable) = listing
        if let entry = Self.entry(name, in: entries) { return entry.name }
        let others = elsewhere?() ?? []
        let plain = Self.plainName(name)
        if let other = others.first(where: { $0 == name || $0 == plain }) { return other }
        throw unknown(name, Set(entries.map(\.name) + others).sorted(), unreadable)
    }

    /// The net that a client means: A1111's write the name with a hash or with the ending of the file.
    private static func entry(_ name: String, in entries: [Entry]) -> Entry? {
        let plain = plainName(name)
        return entries.first { $0.name == name || $0.name == plain }
            ?? entries.first { $0.path == plain }
    }

    private func unknown(
        _ name: String, _ known: [String], _ unreadable: [String]
    ) -> RequestError {
        let withheld =
            unreadable.isEmpty
            ? ""
            : " It may not read \(unreadable.map(\.quoted).joined(separator: ", ")) (permission denied)."
        return RequestError(
            field: "controls",
            message: "there is no ControlNet \(name.quoted); "
                + (known.isEmpty
                    ? "put its file into the folder 'controlnets' of the data folder, or fetch one"
                        + " with 'inkstone models pull'."
                    : "this server has \(known.prefix(20).joined(separator: ", ")).")
                + withheld)
    }

    /// The nets of a folder and its subfolders: files, and folders in the diffusers layout.
    private func nets(in folder: URL, _ unreadable: inout [String]) -> [Entry] {
        var entries: [Entry] = []
        let walk = FolderWalk(folder) { url, path in
            if let name = url.lastPathComponent.withoutEnding(FolderWalk.ending) {
                if LoRAScale.isName(name), isNet(url) {
                    entries.append(
                        Entry(
                            name: name, url: url,
                            path: path.withoutEnding(FolderWalk.ending) ?? path))
                }
                return false
            }
            guard let net = diffusersNet(url, path: path) else { return true }
            if LoRAScale.isName(net.name) { entries.append(net) }
            return false
        }
        unreadable += walk.unreadable
        return entries
    }

    /// The nets of a folder that `models pull` made.
    private func pulled(_ folder: URL) -> [Entry] {
        guard FileKind(folder) == .folder,
            FileKind(folder.appending(path: ModelFolderMark.index)) == .nothing
        else { return [] }
        if let net = diffusersNet(folder, path: folder.lastPathComponent) { return [net] }
        // A model folder that another user closed is not one of nets.
        var unreadable: [String] = []
        return nets(in: folder, &unreadable)
    }

    /// A folder in the diffusers layout.
    private func diffusersNet(_ folder: URL, path: String) -> Entry? {
        guard FileKind(folder.appending(path: "config.json")) == .file else { return nil }
        let file = folder.appending(path: "diffusion_pytorch_model.safetensors")
        guard isNet(file) else { return nil }
        return Entry(name: folder.lastPathComponent, url: folder, path: path)
    }

    private func isNet(_ file: URL) -> Bool {
        guard let stamp = FileStamp(path: file.path) else { return false }
        return locations.isNet(stamp) { (try? TensorStore(controlNet: file)) != nil }
    }

    private static func names(in folder: URL) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
            .filter { !$0.hasPrefix(".") }.sorted()
    }

    /// `name`, from `name.safetensors` or `name [1a2b3c4d]`.
    private static func plainName(_ name: String) -> String {
        var name = name[...]
        if name.hasSuffix("]"), let bracket = name.lastIndex(of: "[") {
            name = name[..<bracket]
            while name.last == " " { name.removeLast() }
        }
        return String(name).withoutEnding(FolderWalk.ending) ?? String(name)
    }
}

private enum ModelFolderMark {
    /// The file that a model in the diffusers layout has.
    static let index = "model_index.json"
}

/// Shared folders, which change while a service runs, and what their files are.
private final class Locations: Sendable {
    private struct State {
        var models: [URL]
        /// Whether a file is a net, by its version.
        var known: [FileStamp: Bool] = [:]
    }

    let roots: [URL]
    private let state: Mutex<State>

    init(models: [URL], roots: [URL]) {
        self.roots = roots
        state = Mutex(State(models: models))
    }

    var models: [URL] { state.withLock { $0.models } }

    func setModels(_ models: [URL]) { state.withLock { $0.models = models } }

    func isNet(_ stamp: FileStamp, _ read: () -> Bool) -> Bool {
        if let known = state.withLock({ $0.known[stamp] }) { return known }
        let isNet = read()
        state.withLock { state in
            if state.known.count >= 1024 { state.known = [:] }
            state.known[stamp] = isNet
        }
        return isNet
    }
}
