// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

/// A side network that reads a control image, such as a map of edges, and adds hints to the tokens of the transformer.
///
/// - Source: VideoX-Fun at 804a425, the authors' own class. diffusers 0.42.1 leaves out the hints of the refiner
///   for versions 2.x; `ControlNetParityTests` compares with both.
package final class ControlNet<Device: Backend>: Sendable {
    /// A control block on a device.
    struct Block: Sendable {
        let block: TransformerBlock<Device>
        let before: Linear<Device>?
        let after: Linear<Device>?

        init(
            _ spec: ControlNetSpec.Block, config: TransformerConfig, loader: WeightLoader<Device>
        ) throws {
            block = try TransformerBlock(spec.block, config: config, loader: loader)
            before = try spec.before.map { try loader.linear($0) }
            after = try spec.after.map { try loader.linear($0) }
        }
    }

    /// The input of a net for one image.
    package struct Input: Sendable {
        /// The net.
        package let net: ControlNet
        /// `[tokens, 4 * channels]`, row-major; the channel runs fastest.
        let patches: [Float]
        /// Factor of the hints.
        package let strength: Float

        /// Creates the input of a net from its channels.
        ///
        /// - Parameters:
        ///   - net: the net.
        ///   - planes: `[channels, h, w]`: the latents of the control image; for nets that inpaint,
        ///     then the mask, 1 where the image is kept, and the latents of the image without the
        ///     part to repaint.
        ///   - height: latent rows.
        ///   - width: latent columns.
        ///   - strength: factor of the hints.
        package init(
            _ net: ControlNet, _ planes: [Float], height: Int, width: Int, strength: Float
        ) {
            let channels = net.config.channels
            precondition(planes.count == channels * height * width, "size of a control input")
            self.net = net
            self.strength = strength
            patches = Patches.split(planes, channels: channels, height: height, width: width)
        }
    }

    /// Decides the order in which the hints of several nets are added, independent of the order of requests.
    package let name: String
    package let config: ControlNetConfig
    /// Bytes of weights.
    package let bytes: Int
    /// Blocks that it runs for each block of the transformer.
    package let share: Double
    let device: Device
    let embedder: Linear<Device>
    let refiner: [Block]
    let layers: [Block]
    let modulations: ModulationCache<Device>

    /// Loads all weights.
    ///
    /// - Throws: `CheckpointError` for a net that does not belong to the transformer.
    package convenience init(
        name: String, base: TransformerConfig, feedForward: Int, store: TensorStore, device: Device
    ) throws {
        try self.init(
            name: name, base: base, feedForward: feedForward,
            loader: WeightLoader(device: device, store: store))
    }

    /// Loads all weights.
    ///
    /// - Throws: `CheckpointError` for a net that does not belong to the transformer.
    init(
        name: String, base: TransformerConfig, feedForward: Int, loader: WeightLoader<Device>
    ) throws {
        let config = try ControlNetConfig(of: loader.store, for: base)
        let spec = ControlNetSpec(config, base: base, feedForward: feedForward)
        try loader.store.validate(
            spec.tensors, tolerating: spec.tolerates,
            against: "the model as a ControlNet of version \(config.version)")
        self.name = name
        self.config = config
        device = loader.device
        bytes = spec.weightBytes(loader.device.precision.bytesPerWeight)
        let first = config.refiner == .layers ? config.layers : base.refinerLayers
        share = Double(first + config.layers) / Double(max(1, base.layers + base.refinerLayers))
        embedder = try loader.linear(spec.embedder)
        refiner = try spec.refiner.map { try Block($0, config: base, loader: loader) }
        layers = try spec.layers.map { try Block($0, config: base, loader: loader) }
        modulations = ModulationCache(
            numbers: (refiner.count + layers.count) * 4 * base.dim, device: device)
    }

    /// Computes the modulation of the refiner's blocks, then of the layers, from time embeddings, one row each.
    func modulation(of conditioning: Device.Operand) -> Modulation<Device> {
        Modulation(
            vectors: (refiner + layers).compactMap { $0.block.modulation(of: conditioning) })
    }
}
