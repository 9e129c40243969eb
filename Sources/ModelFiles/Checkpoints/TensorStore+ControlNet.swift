// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation

extension TensorStore {
    /// The tensor that only ControlNets have.
    package static let controlEmbedder = "control_all_x_embedder.2-1.weight"

    /// Opens a ControlNet: a folder in the diffusers layout, or a file as its authors or converters publish it.
    ///
    /// Fused matrices are split, and all names are those of diffusers.
    ///
    /// - Throws: `CheckpointError`, of code `unsupported` for another kind of file.
    public init(controlNet url: URL) throws(CheckpointError) {
        let isFolder = FileKind(url) == .folder
        let raw = isFolder ? try TensorStore(folder: url) : TensorStore(try WeightFile(url))
        let store = try raw.named(as: .transformer)
        guard store[Self.controlEmbedder] != nil else {
            let found = ModelComponent.stranger(Set(raw.names)).map { ", but \($0)" } ?? ""
            throw CheckpointError(
                code: .unsupported,
                message: "\(url.path.quoted) is not a ControlNet of Z-Image\(found): it has no"
                    + " tensor '\(Self.controlEmbedder)'.",
                remedy: "Use a file such as Z-Image-Turbo-Fun-Controlnet-Union.safetensors.")
        }
        self = store
    }
}
