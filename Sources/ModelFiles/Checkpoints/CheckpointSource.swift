// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// The checkpoint file of a component's folder.
enum CheckpointSource: Equatable {
    /// An index of several safetensors files.
    case index(URL)
    /// One safetensors or GGUF file.
    case file(URL)

    private static let fileSuffix = ".safetensors"
    private static let indexSuffix = ".safetensors.index.json"
    /// File names of diffusers and transformers.
    private static let stems = ["diffusion_pytorch_model", "model"]

    /// Selects the checkpoint of a folder.
    ///
    /// - Throws: `CheckpointError` of code `notFound` without a folder, `incomplete` without a
    ///   checkpoint in it, `unsupported` when there are several and none has the usual name.
    init(folder: URL) throws(CheckpointError) {
        let names = try folderContents(folder)
        let indexes = names.filter(ShardIndex.isName)
        let files = names.filter(WeightFile.isNamed)
        func usual(_ names: [String], _ suffix: String) -> URL? {
            Self.stems.map { $0 + suffix }.first(where: names.contains).map {
                folder.appending(path: $0)
            }
        }
        if let index = usual(indexes, Self.indexSuffix) {
            self = .index(index)
        } else if indexes.isEmpty, let file = usual(files, Self.fileSuffix) {
            self = .file(file)
        } else if indexes.count == 1, let index = indexes.first {
            // A variant such as `model.bf16.safetensors.index.json` or `model.safetensors.index.bf16.json`.
            self = .index(folder.appending(path: index))
        } else if indexes.isEmpty, files.count == 1, let file = files.first,
            Self.shardCount(file) ?? 1 == 1
        {
            self = .file(folder.appending(path: file))
        } else {
            throw Self.noChoice(folder, indexes.isEmpty ? files : indexes, among: names)
        }
    }

    /// The number of files that a shard's name states, as in `model-00001-of-00003.safetensors`.
    private static func shardCount(_ name: String) -> Int? {
        guard let end = name.utf8.firstRange(of: "-of-".utf8)?.upperBound,
            name[..<end].dropLast(4).last?.isNumber == true
        else { return nil }
        return Int(name[end...].prefix { $0.isNumber })
    }

    private static func noChoice(
        _ folder: URL, _ candidates: [String], among names: [String]
    ) -> CheckpointError {
        let path = folder.path.quoted
        let shards = candidates.filter { shardCount($0) != nil }
        if !shards.isEmpty, shards.count == candidates.count {
            return CheckpointError(
                code: .incomplete,
                message:
                    "\(path) holds \(shards.count) of \(shardCount(shards[0]) ?? 0) shards of a checkpoint"
                    + " (\(shards.listed())) and no index, which names the file of each tensor.",
                remedy: "Download '*.safetensors.index.json' of the same folder as well.")
        }
        guard candidates.isEmpty else {
            return CheckpointError(
                code: .unsupported,
                message:
                    "\(path) holds several checkpoints (\(candidates.listed())), expected one.",
                remedy: "Keep the one to use and move the others elsewhere.")
        }
        let foreign = names.filter { ForeignFormat(fileName: $0) != nil }
        let found = foreign.isEmpty ? "none" : foreign.listed()
        return CheckpointError(
            code: foreign.isEmpty ? .incomplete : .unsupported,
            message: "\(path) has no checkpoint, expected one such as"
                + " 'diffusion_pytorch_model.safetensors' or 'model.safetensors', found \(found).",
            remedy: "Download the folder again, with its safetensors files.")
    }
}
