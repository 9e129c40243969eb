// Part of Inkstone. Licence: see LICENSE.

package import Foundation
package import ModelFiles
package import Tensors

/// Writes a model with LoRA files merged into its weights, in the diffusers layout.
package struct MergedCheckpoint<Device: Backend> {
    private let model: ModelDirectory
    private let device: Device
    private let changes: WeightChanges
    /// Which keys of each file matched a layer.
    package let reports: [LoRAReport]

    /// Reads the files.
    ///
    /// - Throws: `CheckpointError`.
    package init(
        model: ModelDirectory, targets: LoRATargets, loras: [LoRASource], device: Device
    ) throws {
        self.model = model
        self.device = device
        (changes, reports) = try WeightChanges.reading(
            loras, for: model, targets: targets, on: device)
    }

    /// Writes the folder, which must not exist; it appears complete or not at all.
    ///
    /// Changed weights keep their type unless `isWide` requests F32; F16 weights always become F32,
    /// because F16 lacks range.
    ///
    /// - Throws: `CheckpointError` of code `writeFailed`, and errors of the file system.
    package func write(to folder: URL, isWide: Bool) throws {
        let manager = FileManager.default
        guard !manager.fileExists(atPath: folder.path) else {
            throw CheckpointError(
                code: .writeFailed, message: "'\(folder.path)' exists already.",
                remedy: "Name a folder that does not.")
        }
        let parent = folder.deletingLastPathComponent()
        let hidden = parent.appending(
            path: ".\(folder.lastPathComponent).\(UInt32.random(in: 0 ... .max))")
        do {
            try manager.createDirectory(at: hidden, withIntermediateDirectories: true)
            let parts = [
                "transformer": "diffusion_pytorch_model.safetensors",
                "text_encoder": "model.safetensors",
            ]
            for name in try manager.contentsOfDirectory(atPath: model.url.path).sorted() {
                // Files that are not part of the layout are not copied.
                if name.hasPrefix(".") || name == "loras" { continue }
                let (from, to) = (model.url.appending(path: name), hidden.appending(path: name))
                guard let file = parts[name] else {
                    try copy(from, to: to)
                    continue
                }
                try write(from, file, to: to, isWide: isWide)
            }
            try manager.moveItem(at: hidden, to: folder)
        } catch {
            try? manager.removeItem(at: hidden)
            throw error
        }
    }

    /// Copies a file or a folder; symbolic links, as in download caches, become files.
    private func copy(_ from: URL, to: URL) throws {
        let manager = FileManager.default
        let from = from.resolvingSymlinksInPath()
        guard let names = try? manager.contentsOfDirectory(atPath: from.path) else {
            return try manager.copyItem(at: from, to: to)
        }
        try manager.createDirectory(at: to, withIntermediateDirectories: true)
        for name in names { try copy(from.appending(path: name), to: to.appending(path: name)) }
    }

    /// Writes one component: its small files, and its tensors in one file.
    private func write(
        _ from: URL, _ file: String, to folder: URL, isWide: Bool
    ) throws {
        let manager = FileManager.default
        try manager.createDirectory(at: folder, withIntermediateDirectories: true)
        // Names as they are stored, with or without a prefix.
        let store = try TensorStore(folder: from)
        func plain(_ name: String) -> String {
            name.hasPrefix("model.") ? String(name.dropFirst("model.".count)) : name
        }
        let isChanged = store.names.contains { changes.touches(plain($0)) }
        for name in try manager.contentsOfDirectory(atPath: from.path).sorted() {
            let isWeights =
                name.hasSuffix(".safetensors") || name.hasSuffix(".safetensors.index.json")
            if isWeights, isChanged { continue }
            try copy(from.appending(path: name), to: folder.appending(path: name))
        }
        guard isChanged else { return }
        var writer = try SafetensorsWriter(
            to: folder.appending(path: file),
            tensors: store.names.compactMap { name in
                store[name].map { tensor in
                    let becomesF32 =
                        changes.touches(plain(name)) && (isWide || tensor.dtype != .bf16)
                    return .init(
                        name: name, dtype: becomesF32 ? .f32 : tensor.dtype, shape: tensor.shape)
                }
            }, metadata: ["format": "pt"])
        for name in store.names {
            guard let tensor = store[name] else { continue }
            if let merged = try changes.merged(plain(name), tensor, on: device) {
                if tensor.dtype == .bf16, !isWide {
                    guard case .bf16(let bits) = NewTensor.Numbers.bf16(rounding: merged) else {
                        continue
                    }
                    try writer.append(bits, to: name)
                } else {
                    try writer.append(merged, to: name)
                }
            } else {
                try writer.append(tensor.bytes, to: name)
            }
            store.releasePages(of: name)
        }
        try writer.finish()
    }
}

extension WeightChanges {
    /// Whether a stored tensor, weight or bias, is changed.
    fileprivate func touches(_ name: String) -> Bool {
        terms[name] != nil || biasOwner(name) != nil
    }

    /// Returns the weight of the layer if `name` is a bias that is changed.
    private func biasOwner(_ name: String) -> String? {
        guard name.hasSuffix(".bias") else { return nil }
        let weight = String(name.dropLast("bias".count)) + "weight"
        return terms[weight]?.contains { $0.change.bias != nil } == true ? weight : nil
    }

    /// Returns the changed numbers of a stored tensor, or `nil` if it is unchanged.
    fileprivate func merged<Device: Backend>(
        _ name: String, _ tensor: StoredTensor, on device: Device
    ) throws -> [Float]? {
        if let weight = biasOwner(name) {
            return merged(biasOf: weight, into: try tensor.floats())
        }
        guard terms[name] != nil, tensor.shape.count == 2 else { return nil }
        return merged(
            name, into: try tensor.floats(), rows: tensor.shape[0], depth: tensor.shape[1],
            on: device)
    }
}
