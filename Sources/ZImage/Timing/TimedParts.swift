// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

/// One block of a transformer, to be run repeatedly on one sequence.
package final class TimedBlock<Device: Backend> {
    private let block: TransformerBlock<Device>
    private let device: Device
    private let x: Device.Values
    private let time: Device.Values
    private let rotary: RotaryTable<Device>
    private let segments: Segments
    private let loras: LoRAStack<Device>

    /// Loads block `name` of a model, with `tokens` tokens of noise as input and, for `run(withLoRA:)`,
    /// a random LoRA of rank `loraRank` on all its layers.
    package init(
        _ name: String, of model: ModelDirectory, device: Device, tokens: Int,
        loraRank: Int? = nil
    ) throws {
        let config = model.transformerConfig
        self.device = device
        guard let spec = try model.transformerSpec().blocks.first(where: { $0.name == name })
        else {
            throw CheckpointError(
                code: .missingTensor, message: "the transformer has no block '\(name)'.")
        }
        block = try TransformerBlock(
            spec, config: config,
            loader: WeightLoader(device: device, store: try model.transformerStore()))
        var generator = TorchGenerator(seed: 1)
        func noise(_ rows: Int, _ columns: Int) -> Device.Values {
            device.upload(
                Array(generator.normals(max(16, rows * columns)).prefix(rows * columns)),
                rows: rows, columns: columns)
        }
        loras = LoRAStack(
            try loraRank.map {
                let lora = try LoadedLoRA(
                    randomOf: $0, prefix: name + ".", model: model, device: device)
                return [(lora: lora, scale: 1, textScale: nil)]
            } ?? [])
        x = noise(tokens, config.dim)
        time = noise(1, config.conditioningWidth)
        var angles = RotaryAngles(config: config)
        angles.appendCaption(paddedLength: tokens)
        rotary = angles.table(on: device)
        segments = Segments(lengths: [tokens])
    }

    /// The input of the block, or its output after a run.
    package var values: [Float] { device.download(x) }

    /// Runs the block in place.
    package func run(withLoRA: Bool = false) throws {
        let adapters = AdapterBatch(withLoRA ? [loras] : [])
        try block(
            x,
            modulation: block.modulation(
                of: device.operand(time, precision: .f32), adapters: adapters),
            rotary: rotary, segments: segments, adapters: adapters)
    }
}

/// A transformer with a caption, ready for evaluations of one size.
package final class TimedStep<Device: Backend> {
    private let transformer: Transformer<Device>
    private let sequence: Transformer<Device>.Sequence
    private let loras: LoRAStack<Device>

    /// Tokens of the image and of the caption, padding included.
    package let tokens: (image: Int, caption: Int)

    /// Loads the transformer of a model, with noise of an image's size as input and, for
    /// `run(withLoRA:)`, a random LoRA of rank `loraRank` on all its layers.
    package init(
        of model: ModelDirectory, device: Device, width: Int, height: Int, promptTokens: Int,
        loraRank: Int? = nil
    ) throws {
        let config = model.transformerConfig
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
        loras = LoRAStack(
            try loraRank.map {
                [
                    (
                        lora: try LoadedLoRA(randomOf: $0, model: model, device: device), scale: 1,
                        textScale: nil
                    )
                ]
            } ?? [])
        let multiple = Transformer<Device>.tokenMultiple
        let image = ((rows / 2) * (columns / 2) + multiple - 1) / multiple * multiple
        tokens = (image, caption.length)
    }

    /// Runs one evaluation.
    package func run(withLoRA: Bool = false) throws {
        var own = sequence
        if withLoRA { own.loras = loras }
        _ = try transformer([own])
    }
}
