// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

/// Evaluations of a transformer of which few layers are loaded, without and with ControlNets of random weights.
package final class TimedControls<Device: Backend> {
    /// A published net: its version, and how many control layers it has beside 30 layers.
    package struct Version: Sendable {
        /// The version as its authors call it.
        package let name: String
        /// What runs beside the noise refiner.
        package let refiner: ControlNetConfig.Refiner
        /// Control layers for 30 layers of the transformer.
        package let layers: Int

        /// All published versions, the cheapest first.
        package static var all: [Version] {
            [
                Version(name: "2.1 lite", refiner: .own, layers: 3),
                Version(name: "1.0", refiner: .plain, layers: 6),
                Version(name: "2.1", refiner: .own, layers: 15),
                Version(name: "2.0", refiner: .layers, layers: 15),
            ]
        }
    }

    /// Layers of the transformer that are loaded.
    package static var loadedLayers: Int { 2 }

    private let config: TransformerConfig
    private let feedForward: Int
    private let transformer: Transformer<Device>
    private let sequence: Transformer<Device>.Sequence
    private let device: Device
    /// Tokens of the image and of the caption, padding included.
    package let tokens: (image: Int, caption: Int)

    /// Loads some layers of a model, with noise of an image's size as input.
    package init(
        of model: ModelDirectory, device: Device, width: Int, height: Int, promptTokens: Int
    ) throws {
        var config = model.transformerConfig
        config.layers = min(config.layers, Self.loadedLayers)
        self.config = config
        self.device = device
        feedForward = try model.feedForwardWidth()
        transformer = try Transformer(
            config: config, store: try model.transformerStore(), device: device)
        var generator = TorchGenerator(seed: 1)
        let caption = try transformer.prepareCaption(
            features: generator.normals(promptTokens * config.captionWidth))
        let scale = model.autoencoderConfig.scale
        let (rows, columns) = (height / scale, width / scale)
        sequence = Transformer.Sequence(
            latents: generator.normals(config.inChannels * rows * columns), height: rows,
            width: columns, caption: caption, time: 0.5)
        tokens = (Transformer<Device>.padded(sequence.imageTokens), caption.length)
    }

    /// Operations of one evaluation by a net beside the whole transformer, counted.
    package func operations(of version: Version, beside whole: TransformerConfig) -> Int {
        ControlNetSpec(
            ControlNetConfig(version.refiner, layers: version.layers, beside: whole),
            base: whole, feedForward: feedForward
        ).operations(imageTokens: tokens.image, captionTokens: tokens.caption)
    }

    /// A net of random weights with so many control layers, and its input: noise.
    package func net(
        _ refiner: ControlNetConfig.Refiner, layers: Int
    ) throws -> ControlNet<Device>.Input {
        let spec = ControlNetSpec(
            ControlNetConfig(refiner, layers: layers, beside: config), base: config,
            feedForward: feedForward)
        let net = try ControlNet(
            name: "random", base: config, feedForward: feedForward,
            store: try .random(spec.tensors), device: device)
        var generator = TorchGenerator(seed: 2)
        let count = net.config.channels * sequence.height * sequence.width
        return ControlNet.Input(
            net, generator.normals(count), height: sequence.height, width: sequence.width,
            strength: 1)
    }

    /// Runs one evaluation.
    package func run(with net: ControlNet<Device>.Input?) throws {
        var own = sequence
        own.controls = net.map { [$0] } ?? []
        _ = try transformer([own])
    }
}
