// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation

/// The tensors of one component of a model, in one file or several.
public struct TensorStore: Sendable {
    /// The component's folder.
    public let folder: URL

    /// Identifies its files; empty for tensors without a file.
    package let fileIdentities: [String]

    private let tensors: [String: StoredTensor]

    /// Opens the checkpoint in a component's folder.
    ///
    /// In this order: the files of an index (`*.safetensors.index.json`), the file with the usual
    /// name, the only `*.safetensors` or `*.gguf` file. Every tensor of the index must be in the
    /// listed file; other tensors are kept, and reported by `validate`.
    ///
    /// - Throws: `CheckpointError`, of code `incomplete` when a file or a listed tensor is missing.
    public init(folder: URL) throws(CheckpointError) {
        let source = try CheckpointSource(folder: folder)
        var tensors: [String: StoredTensor] = [:]
        var identities: [String] = []
        switch source {
        case .file(let url):
            let file = try WeightFile(url)
            identities.append(file.identity)
            tensors = file.tensors
        case .index(let url):
            let index = try ShardIndex(contentsOf: url)
            var files: [String: SafetensorsFile] = [:]
            var metadata: [String: String] = [:]
            for name in Set(index.fileNames.values).sorted() {
                let file = try Self.shard(name, in: folder, index: url)
                files[name] = file
                identities.append(file.identity)
                metadata.merge(file.metadata) { first, _ in first }
                for name in file.tensors.keys { tensors[name] = file.tensor(named: name) }
            }
            var absent: [String] = []
            for (name, file) in index.fileNames {
                guard let tensor = files[file]?.tensor(named: name) else {
                    absent.append(name)
                    continue
                }
                tensors[name] = tensor
            }
            guard absent.isEmpty else {
                throw CheckpointError(
                    code: .incomplete,
                    message: "\(url.path.quoted) lists tensors that are not in the files it names:"
                        + " \(absent.sorted().listed()).",
                    remedy: "Download the folder again.")
            }
            tensors = try QuantizedTensors(
                tensors, metadata: metadata, source: url.path.quoted
            ).joined()
        }
        self.folder = folder
        self.tensors = tensors
        fileIdentities = identities
    }

    /// The tensors of one file of weights.
    init(_ file: WeightFile) {
        self.init(folder: file.url, tensors: file.tensors, fileIdentities: [file.identity])
    }

    /// Opens the file of a preview decoder.
    ///
    /// - Throws: `CheckpointError`.
    package init(previewFile url: URL) throws(CheckpointError) {
        self = try TensorStore(WeightFile(url)).named(as: .preview)
    }

    /// Creates a store of given tensors.
    package init(folder: URL, tensors: [String: StoredTensor], fileIdentities: [String] = []) {
        self.folder = folder
        self.tensors = tensors
        self.fileIdentities = fileIdentities
    }

    private static func shard(
        _ name: String, in folder: URL, index: URL
    ) throws(CheckpointError) -> SafetensorsFile {
        do {
            return try SafetensorsFile(url: folder.appending(path: name))
        } catch  where error.code == .notFound {
            throw CheckpointError(
                code: .incomplete,
                message: "\(index.path.quoted) names the file \(name.quoted), which is missing.",
                remedy: "Download the folder again.", cause: error)
        }
    }

    /// Number of bytes of all tensors.
    package var byteCount: Int { tensors.values.reduce(0) { $0 + $1.bytes.count } }

    /// Number of tensors.
    public var count: Int { tensors.count }

    /// The names of all tensors, sorted.
    public var names: [String] { tensors.keys.sorted() }

    /// The tensor of the given name.
    public subscript(name: String) -> StoredTensor? { tensors[name] }

    /// Removes `prefix` from all names that begin with it.
    ///
    /// Some text encoders have the prefix `model.`, others do not.
    ///
    /// - Throws: `CheckpointError` of code `unexpectedTensor` when two names become equal.
    public func strippingPrefix(_ prefix: String) throws(CheckpointError) -> TensorStore {
        var renamed: [String: StoredTensor] = [:]
        for (name, tensor) in tensors {
            let short = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
            guard renamed.updateValue(tensor.renamed(short), forKey: short) == nil else {
                throw CheckpointError(
                    code: .unexpectedTensor,
                    message: "\(folder.path.quoted) holds tensor \(short.quoted) both with and"
                        + " without the prefix \(prefix.quoted).",
                    remedy: "Download the folder again.")
            }
        }
        return TensorStore(folder: folder, tensors: renamed, fileIdentities: fileIdentities)
    }

    /// Replaces each tensor by others: renamed, split, or none.
    ///
    /// - Throws: `CheckpointError` of code `unexpectedTensor` when two names become equal.
    func mapping(
        _ body: (String, StoredTensor) throws(CheckpointError) -> [StoredTensor]
    ) throws(CheckpointError) -> TensorStore {
        var mapped: [String: StoredTensor] = [:]
        for (name, tensor) in tensors {
            for part in try body(name, tensor) {
                guard mapped.updateValue(part, forKey: part.name) == nil else {
                    throw CheckpointError(
                        code: .unexpectedTensor,
                        message: "\(folder.path.quoted) holds tensor \(part.name.quoted) under two"
                            + " names.",
                        remedy: "Download the file again.")
                }
            }
        }
        return TensorStore(folder: folder, tensors: mapped, fileIdentities: fileIdentities)
    }

    // MARK: Memory

    /// Releases the memory of a tensor's file pages; reading it again reads the file again.
    ///
    /// A converter calls this after each tensor, so that checkpoints may exceed the memory.
    public func releasePages(of name: String) {
        if let tensor = tensors[name] { MappedFile.releasePages(of: tensor.bytes) }
    }

    /// Asks the system to read a tensor's pages ahead of their use.
    public func willNeed(_ name: String) {
        if let tensor = tensors[name] { MappedFile.willNeed(tensor.bytes) }
    }
}
