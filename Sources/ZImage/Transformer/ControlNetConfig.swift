// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
package import ModelFiles

/// What distinguishes the versions of a ControlNet, found from the shapes of its tensors.
public struct ControlNetConfig: Sendable, Equatable {
    /// What runs beside the noise refiner of the transformer.
    public enum Refiner: Sendable {
        /// Blocks that do not see the image's tokens and give no hints: version 1.0.
        case plain
        /// The control layers themselves, which run a second time for it: version 2.0.
        case layers
        /// Its own control blocks: version 2.1.
        case own
    }

    /// What runs beside the noise refiner.
    public let refiner: Refiner
    /// Channels of the input: those of the latents, or the latents of the control image, a mask and the latents of
    /// the image to repaint.
    public let channels: Int
    /// Blocks of the net that run beside the layers of the transformer.
    public let layers: Int
    /// Layers of the transformer after which the net's blocks add their hints, one for each block.
    public let places: [Int]
    /// Blocks of the transformer's noise refiner.
    let refinerLayers: Int
    /// Channels of latents.
    let latentChannels: Int

    /// Whether the input has a mask and an image to repaint.
    public var takesInpainting: Bool { channels != latentChannels }

    /// Whether it has fewer blocks than the full form of its version.
    let isLite: Bool

    /// The version as its authors call it.
    public var version: String {
        switch refiner {
        case .plain: "1.0"
        case .layers: "2.0"
        case .own: isLite ? "2.1 lite" : "2.1"
        }
    }

    /// Finds the version of a net and checks that it belongs to a transformer of the given sizes.
    ///
    /// - Throws: `CheckpointError` of code `badTensor` for shapes that no version has with this transformer.
    package init(of store: TensorStore, for base: TransformerConfig) throws(CheckpointError) {
        func failure(_ message: String) -> CheckpointError {
            CheckpointError(
                code: .badTensor,
                message: "\(store.folder.path.quoted) \(message)",
                remedy: "Use a ControlNet that was trained for this model.")
        }
        guard let embedder = store[TensorStore.controlEmbedder], embedder.shape.count == 2 else {
            throw failure("has no matrix '\(TensorStore.controlEmbedder)'.")
        }
        guard embedder.shape[0] == base.dim else {
            throw failure(
                "is a ControlNet of width \(embedder.shape[0]), but the transformer of the model has"
                    + " width \(base.dim).")
        }
        latentChannels = base.inChannels
        channels = embedder.shape[1] / 4
        guard embedder.shape[1].isMultiple(of: 4),
            channels == latentChannels || channels == 2 * latentChannels + 1
        else {
            throw failure(
                "takes inputs of \(embedder.shape[1]) columns; expected \(4 * latentChannels)"
                    + " (version 1.0) or \(4 * (2 * latentChannels + 1)) (version 2.x).")
        }
        let indices = Set(store.names.compactMap { Self.index(of: $0, in: "control_layers") })
        layers = indices.count
        refinerLayers = base.refinerLayers
        // 15 of 30 layers, or 3.
        isLite = 4 * layers < base.layers
        guard layers > 0, layers <= base.layers, indices == Set(0..<layers) else {
            throw failure(
                "has the control layers \(indices.sorted()); expected 0 to some number below the"
                    + " \(base.layers) layers of the transformer.")
        }
        let distance = Int((Double(base.layers) / Double(layers)).rounded(.toNearestOrEven))
        places = (0..<layers).map { $0 * distance }
        guard places[layers - 1] < base.layers else {
            throw failure(
                "has \(layers) control layers, which do not spread evenly over the \(base.layers)"
                    + " layers of the transformer.")
        }
        refiner = try Self.refiner(of: store)
    }

    /// A net of a form beside a transformer of the given sizes.
    init(_ refiner: Refiner, layers: Int, beside base: TransformerConfig) {
        self.refiner = refiner
        self.layers = layers
        latentChannels = base.inChannels
        channels = refiner == .plain ? base.inChannels : 2 * base.inChannels + 1
        refinerLayers = base.refinerLayers
        isLite = 4 * layers < base.layers
        places = (0..<layers).map { $0 * max(1, base.layers / layers) }
    }

    private static func refiner(of store: TensorStore) throws(CheckpointError) -> Refiner {
        guard store.names.contains(where: { index(of: $0, in: refinerName) != nil }) else {
            // As diffusers saves version 2.0.
            return .layers
        }
        guard let projection = store["\(refinerName).0.after_proj.weight"] else { return .plain }
        // As the authors publish version 2.0, with blocks that training never reached.
        return try projection.floats().allSatisfy { $0 == 0 } ? .layers : .own
    }

    static let refinerName = "control_noise_refiner"

    private static func index(of name: String, in list: String) -> Int? {
        let parts = name.split(separator: ".", maxSplits: 2)
        return parts.count == 3 && parts[0] == list ? Int(parts[1]) : nil
    }
}

/// The layers of a ControlNet, under the names of its checkpoint.
struct ControlNetSpec: Sendable {
    /// A transformer block whose output becomes a hint.
    struct Block: Sendable {
        let block: TransformerBlockSpec
        /// Applied to the control tokens before the first block of a stage, where they are added to the image's.
        let before: LinearSpec?
        /// Makes the hint; `nil` for plain blocks.
        let after: LinearSpec?
    }

    let embedder: LinearSpec
    let refiner: [Block]
    let layers: [Block]
    /// Names and shapes of all tensors.
    let tensors: [TensorSpec]
    private let config: ControlNetConfig

    /// Declares the layers of a net beside a transformer of the given sizes.
    init(_ config: ControlNetConfig, base: TransformerConfig, feedForward: Int) {
        var builder = SpecBuilder()
        let dim = base.dim
        embedder = builder.linear(
            "control_all_x_embedder.2-1", inputs: 4 * config.channels, outputs: dim, bias: true,
            accuracy: .full, stage: .step)
        func blocks(_ list: String, _ count: Int, hasHints: Bool) -> [Block] {
            (0..<count).map { index in
                let name = "\(list).\(index)"
                let block = TransformerBlockSpec(
                    name, isModulated: true, config: base, feedForward: feedForward, in: &builder)
                func projection(_ part: String) -> LinearSpec {
                    builder.linear(
                        "\(name).\(part)", inputs: dim, outputs: dim, bias: true, stage: .step)
                }
                return Block(
                    block: block, before: hasHints && index == 0 ? projection("before_proj") : nil,
                    after: hasHints ? projection("after_proj") : nil)
            }
        }
        refiner =
            config.refiner == .layers
            ? []
            : blocks(
                ControlNetConfig.refinerName, config.refinerLayers,
                hasHints: config.refiner == .own)
        layers = blocks("control_layers", config.layers, hasHints: true)
        tensors = builder.tensors
        self.config = config
    }

    /// Whether a checkpoint may hold a tensor of this name that the net does not read.
    func tolerates(_ name: String) -> Bool {
        config.refiner == .layers && name.hasPrefix(ControlNetConfig.refinerName + ".")
    }

    /// Bytes of weights, with `width` bytes for each number of a product.
    func weightBytes(_ width: Int) -> Int {
        (refiner + layers).reduce(4 * embedder.inputs * embedder.outputs) { sum, block in
            let projections = [block.before, block.after].compactMap(\.self)
            return sum + block.block.weightBytes(width)
                + projections.reduce(0) { $0 + $1.inputs * $1.outputs * width }
        }
    }

    /// Operations of one evaluation for one sequence.
    func operations(imageTokens: Int, captionTokens: Int) -> Int {
        func all(_ blocks: [Block], _ tokens: Int) -> Int {
            blocks.reduce(0) { sum, block in
                let projections = [block.before, block.after].compactMap(\.self)
                return sum + block.block.operations(tokens: tokens, completed: tokens)
                    + projections.reduce(0) { $0 + tokens * $1.operations }
            }
        }
        let first = config.refiner == .layers ? layers : refiner
        return imageTokens * embedder.operations + all(first, imageTokens)
            + all(layers, imageTokens + captionTokens)
    }
}
