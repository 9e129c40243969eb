// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation
import ModelFiles
public import Parameters
import Synchronization

/// The ControlNets that requests may use: those of the data folder, of models, and of pulled repositories.
///
/// A net is a file, or a folder in the diffusers layout. The folders are read on every access, so that added files
/// are found at once; of each file only the header is read, once for each of its versions.
public struct ControlNetRegistry: Sendable {
    /// A net.
    public struct Entry: Sendable, Equatable {
        /// Name for requests: that of the file without its ending, or of the folder.
        public var name: String
        /// The file or the folder.
        public var url: URL

        /// Whether it is a folder, or a file directly in it.
        package func isIn(_ folder: URL) -> Bool {
            url.canonicalPath == folder.canonicalPath
                || url.deletingLastPathComponent().canonicalPath == folder.canonicalPath
        }
    }

    /// The folder to which nets are added; `nil` if there is none.
    public let folder: URL?
    private let locations: Locations
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
    public var entries: [Entry] {
        var byName: [String: Entry] = [:]
        for file in files {
            let name = Self.plainName(file.lastPathComponent)
            byName[name] = Entry(name: name, url: file)
        }
        var folders = locations.models.map { $0.appending(path: "controlnets") }
        if let folder { folders.insert(folder, at: 0) }
        for folder in folders {
            for entry in nets(in: folder) where byName[entry.name] == nil {
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
        return byName.values.sorted { $0.name < $1.name }
    }

    /// The net of a name.
    ///
    /// - Throws: `RequestError` that lists the known names.
    public func find(_ name: String) throws(RequestError) -> Entry {
        let entries = entries
        // A1111's clients write the name with a hash or with the ending of the file.
        let plain = Self.plainName(name)
        if let entry = entries.first(where: { $0.name == name || $0.name == plain }) {
            return entry
        }
        let known = entries.map(\.name)
        throw RequestError(
            field: "controls",
            message: "there is no ControlNet \(name.quoted); "
                + (known.isEmpty
                    ? "put its file into the folder 'controlnets' of the data folder, or fetch one"
                        + " with 'inkstone models pull'."
                    : "this server has \(known.prefix(20).joined(separator: ", "))."))
    }

    /// The nets of a folder: files and folders directly in it.
    private func nets(in folder: URL) -> [Entry] {
        Self.names(in: folder).compactMap { name in
            let url = folder.appending(path: name)
            if name.hasSuffix(Self.ending) {
                let name = String(name.dropLast(Self.ending.count))
                return isNet(url) ? Entry(name: name, url: url) : nil
            }
            return diffusersNet(url)
        }.filter { LoRAScale.isName($0.name) }
    }

    /// The nets of a folder that `models pull` made.
    private func pulled(_ folder: URL) -> [Entry] {
        guard Self.isFolder(folder),
            !FileManager.default.fileExists(
                atPath: folder.appending(path: ModelFolderMark.index).path)
        else { return [] }
        if let net = diffusersNet(folder) { return [net] }
        return nets(in: folder)
    }

    /// A folder in the diffusers layout.
    private func diffusersNet(_ folder: URL) -> Entry? {
        guard Self.isFolder(folder),
            FileManager.default.fileExists(atPath: folder.appending(path: "config.json").path)
        else { return nil }
        let file = folder.appending(path: "diffusion_pytorch_model.safetensors")
        guard isNet(file) else { return nil }
        return Entry(name: folder.lastPathComponent, url: folder)
    }

    private func isNet(_ file: URL) -> Bool {
        guard let stamp = FileStamp(path: file.path) else { return false }
        return locations.isNet(stamp) { (try? TensorStore(controlNet: file)) != nil }
    }

    private static let ending = ".safetensors"

    private static func isFolder(_ url: URL) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
            && isFolder.boolValue
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
        return String(name.hasSuffix(ending) ? name.dropLast(ending.count) : name)
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
