// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

/// The S3-DiT transformer over a ragged batch of sequences.
///
/// A sequence consists of the latents of an image and a caption. Linear layers work on the rows of all
/// sequences, attention and positions on each sequence alone.
///
/// - Shapes: latents `[C, h, w]`, `h` and `w` even; 2 x 2 latent pixels are one token.
/// - Source: diffusers 0.42.1, `transformer_z_image.py`; checked by `ParityTests`.
package final class Transformer<Device: Backend>: Sendable {
    /// The output of the layers that depend on the prompt alone.
    package struct Caption: Sendable {
        /// `[length, dim]`, padded to whole 32 tokens.
        let tokens: Device.Values
        /// Tokens with padding.
        package var length: Int { tokens.rows }
    }

    /// One sequence of a batch.
    package struct Sequence: Sendable {
        /// `[C, h, w]`, row-major.
        package var latents: [Float]
        /// Latent rows.
        package var height: Int
        /// Latent columns.
        package var width: Int
        /// The prompt.
        package var caption: Caption
        /// `1 - sigma`: 0 at pure noise, towards 1 at the image.
        package var time: Float
        /// LoRA files that are added.
        package var loras: LoRAStack<Device>
        /// Inputs of ControlNets.
        package var controls: [ControlNet<Device>.Input] = []

        /// Tokens of the image, without padding.
        var imageTokens: Int { (height / 2) * (width / 2) }

        /// Creates a sequence.
        package init(
            latents: [Float], height: Int, width: Int, caption: Caption, time: Float,
            loras: LoRAStack<Device> = LoRAStack()
        ) {
            self.latents = latents
            self.height = height
            self.width = width
            self.caption = caption
            self.time = time
            self.loras = loras
        }
    }

    /// Receives the name and the output of each stage, for parity tests.
    package typealias Observer = (_ stage: String, _ values: Device.Values) -> Void

    /// Tokens are padded to a multiple of this with learned tokens, which attention does not mask.
    package static var tokenMultiple: Int { 32 }

    package let config: TransformerConfig
    let device: Device
    private let timeEmbedding: TimeEmbedding<Device>
    private let imageEmbedder: Linear<Device>
    private let captionNorm: Device.Vector
    private let captionEmbedder: Linear<Device>
    private let imagePad: Device.Values
    private let captionPad: Device.Values
    private let noiseRefiner: [TransformerBlock<Device>]
    private let contextRefiner: [TransformerBlock<Device>]
    private let layers: [TransformerBlock<Device>]
    private let finalModulation: Linear<Device>
    private let finalLinear: Linear<Device>
    private let rotaryTables: RotaryCache<Device>
    private let modulations: ModulationCache<Device>

    /// Loads all weights; `progress` receives the fraction that is loaded.
    package convenience init(
        config: TransformerConfig, store: TensorStore, device: Device,
        progress: (Double) -> Void = { _ in }
    ) throws {
        try self.init(
            config: config, loader: WeightLoader(device: device, store: store),
            progress: progress)
    }

    /// Loads all weights; `progress` receives the fraction that is loaded.
    ///
    /// The last `blocksOnHost` of the blocks that run in each step are placed on the host.
    init(
        config: TransformerConfig, loader: WeightLoader<Device>, blocksOnHost: Int = 0,
        progress: (Double) -> Void = { _ in }
    ) throws {
        let spec = TransformerSpec(
            config, feedForward: try config.feedForwardWidth(in: loader.store))
        self.config = config
        device = loader.device
        timeEmbedding = try TimeEmbedding(spec, config: config, loader: loader)
        imageEmbedder = try loader.linear(spec.imageEmbedder)
        captionNorm = try loader.vector(spec.captionNorm)
        captionEmbedder = try loader.linear(spec.captionEmbedder)
        imagePad = try loader.row(spec.imagePad)
        captionPad = try loader.row(spec.captionPad)
        finalModulation = try loader.linear(spec.finalModulation)
        finalLinear = try loader.linear(spec.finalLinear)
        let blocks = spec.blocks
        var loaded = 0
        func load(_ specs: [TransformerBlockSpec]) throws -> [TransformerBlock<Device>] {
            try specs.map { block in
                if loaded + 1 < blocks.count { loader.willNeed(blocks[loaded + 1].name) }
                let isOnHost = loaded >= blocks.count - blocksOnHost
                let made = try TransformerBlock(
                    block, config: config, loader: isOnHost ? loader.onHost : loader)
                loaded += 1
                progress(Double(loaded) / Double(blocks.count))
                return made
            }
        }
        noiseRefiner = try load(spec.noiseRefiner)
        contextRefiner = try load(spec.contextRefiner)
        layers = try load(spec.layers)
        rotaryTables = RotaryCache(config: config, device: device)
        modulations = ModulationCache(
            numbers: (noiseRefiner.count + layers.count) * 4 * config.dim + config.dim,
            device: device)
    }

    // MARK: - Captions

    /// Embeds text features and runs the layers that do not depend on the step.
    ///
    /// - Parameters:
    ///   - features: `[count, captionWidth]`, row-major.
    ///   - loras: LoRA files that are added.
    ///   - observer: receives the output of each stage.
    /// - Returns: the caption for every step of a run.
    /// - Throws: `NumericError` that names the layer.
    package func prepareCaption(
        features: [Float], loras: LoRAStack<Device> = LoRAStack(), observer: Observer? = nil
    ) throws(NumericError) -> Caption {
        let count = features.count / config.captionWidth
        let real = Segments(lengths: [count])
        let adapters = AdapterBatch([loras])
        let normed = device.norm(
            device.upload(features, rows: count, columns: config.captionWidth), kind: .rms,
            weight: captionNorm, epsilon: Float(config.normEpsilon), scale: nil, segments: real,
            precision: .f32)
        let embedded = captionEmbedder(normed, real, adapters)
        observer?("cap_embedded", embedded)
        let length = Self.padded(count)
        let tokens = device.makeValues(rows: length, columns: config.dim)
        device.copyRows(0..<count, of: embedded, to: tokens, at: 0)
        for row in count..<length { device.copyRows(0..<1, of: captionPad, to: tokens, at: row) }
        var angles = RotaryAngles(config: config)
        angles.appendCaption(paddedLength: length)
        let rotary = angles.table(on: device)
        let segments = Segments(lengths: [length])
        for block in contextRefiner {
            try block(
                tokens, modulation: nil, rotary: rotary, segments: segments, adapters: adapters)
            observer?(block.name, tokens)
        }
        // A caption may be cached, so that nothing wrong with it may be found later.
        device.finish()
        try checkFinite(device, segments, at: "transformer caption")
        return Caption(tokens: tokens)
    }

    /// Returns the number of tokens after padding.
    package static func padded(_ count: Int) -> Int {
        (count + tokenMultiple - 1) / tokenMultiple * tokenMultiple
    }

    // MARK: - One evaluation

    /// Evaluates all sequences once.
    ///
    /// - Parameters:
    ///   - batch: the sequences.
    ///   - pause: called between blocks; can evaluate other sequences.
    ///   - observer: receives the output of each stage.
    /// - Returns: one `[C, h, w]` for each sequence: the model's raw output, the negative velocity.
    /// - Throws: `NumericError` that names the layer and the sequence.
    package func callAsFunction(
        _ batch: [Sequence], pause: () -> Void = {}, observer: Observer? = nil
    ) throws(NumericError) -> [[Float]] {
        let tokens = batch.map(\.imageTokens)
        let imageSegments = Segments(lengths: tokens.map(Self.padded))
        let jointSegments = Segments(
            lengths: zip(tokens, batch).map { Self.padded($0) + $1.caption.length })
        let tables = tables(for: batch)
        let adapters = AdapterBatch(batch.map(\.loras))
        let modulation = modulation(for: batch, observer: observer)

        let image = embedded(batch, imageSegments, adapters, observer: observer)
        var control = ControlPass(batch, on: self, observer: observer)
        control?.enterRefiner(image, imageSegments)
        for (index, block) in noiseRefiner.enumerated() {
            try block(
                image, modulation: modulation.vectors[index], rotary: tables.image,
                segments: imageSegments, adapters: adapters)
            try control?.refine(index, image, imageSegments, pause: pause)
            observer?(block.name, image)
            device.pause()
            pause()
        }
        try control?.leaveRefiner(after: noiseRefiner.count, pause: pause)
        // Of the last block only the image's own rows are computed, unless an observer reads all.
        let wanted =
            observer == nil && !layers.isEmpty ? Segments(lengths: tokens) : jointSegments
        var rows = joined(image, imageSegments, with: batch, jointSegments)
        control?.enterLayers(rows, jointSegments, batch)
        for (index, block) in layers.enumerated() {
            let isLast = index + 1 == layers.count && observer == nil
            rows = try block(
                rows, modulation: modulation.vectors[noiseRefiner.count + index],
                rotary: tables.joint, segments: jointSegments, wanted: isLast ? wanted : nil,
                adapters: adapters)
            try control?.addHints(
                after: index, to: rows, isLast ? wanted : jointSegments, pause: pause)
            observer?(block.name, rows)
            device.pause()
            pause()
        }
        return try finish(
            rows, scale: modulation.vectors[noiseRefiner.count + layers.count], batch: batch,
            segments: wanted, adapters: adapters,
            observer: observer)
    }

    /// Embeds the latents of all sequences; padding is made of learned tokens.
    private func embedded(
        _ batch: [Sequence], _ segments: Segments, _ adapters: AdapterBatch<Device>,
        observer: Observer?
    ) -> Device.Values {
        var patches: [Float] = []
        patches.reserveCapacity(segments.rows * config.patchWidth)
        for (index, sequence) in batch.enumerated() {
            let own = Patches.split(
                sequence.latents, channels: config.inChannels, height: sequence.height,
                width: sequence.width)
            let padding = segments.range(index).count * config.patchWidth - own.count
            patches += own
            patches += repeatElement(0, count: padding)
        }
        let input = device.upload(patches, rows: segments.rows, columns: config.patchWidth)
        let image = imageEmbedder(
            device.operand(input, precision: .f32), segments, adapters)
        observer?("x_embedded", image)
        pad(image, batch, segments)
        return image
    }

    /// Replaces the padding of each sequence by learned tokens.
    func pad(_ image: Device.Values, _ batch: [Sequence], _ segments: Segments) {
        for (index, sequence) in batch.enumerated() {
            let range = segments.range(index)
            for row in (range.lowerBound + sequence.imageTokens)..<range.upperBound {
                device.copyRows(0..<1, of: imagePad, to: image, at: row)
            }
        }
    }

    /// Returns the rotary tables of a batch.
    func tables(for batch: [Sequence]) -> RotaryTables<Device> {
        rotaryTables.tables(for: batch.map(\.rotaryShape))
    }

    /// Puts the caption of each sequence after its image tokens.
    private func joined(
        _ image: Device.Values, _ imageSegments: Segments, with batch: [Sequence],
        _ jointSegments: Segments
    ) -> Device.Values {
        let joint = device.makeValues(rows: jointSegments.rows, columns: config.dim)
        for (index, sequence) in batch.enumerated() {
            let range = imageSegments.range(index)
            let start = jointSegments.range(index).lowerBound
            device.copyRows(range, of: image, to: joint, at: start)
            device.copyRows(
                0..<sequence.caption.length, of: sequence.caption.tokens, to: joint,
                at: start + range.count)
        }
        return joint
    }

    private func finish(
        _ rows: Device.Values, scale: Device.Values, batch: [Sequence], segments: Segments,
        adapters: AdapterBatch<Device>, observer: Observer?
    ) throws(NumericError) -> [[Float]] {
        let normed = device.norm(
            rows, kind: .layer, weight: nil, epsilon: 1e-6,
            scale: ModulationSlice(scale, column: 0), segments: segments, precision: .f32)
        let final = finalLinear(normed, segments, adapters)
        observer?("final_layer", final)
        let patches = device.download(final)
        try checkFinite(device, segments, at: "transformer final layer")
        var outputs: [[Float]] = []
        for (index, sequence) in batch.enumerated() {
            let start = segments.range(index).lowerBound
            let count = sequence.imageTokens
            let own = patches[(start * config.patchWidth)..<((start + count) * config.patchWidth)]
            let output = Patches.join(
                own, channels: config.inChannels, height: sequence.height, width: sequence.width)
            guard output.allSatisfy(\.isFinite) else {
                throw NumericError(layer: "transformer output", step: nil, sequence: index)
            }
            outputs.append(output)
        }
        return outputs
    }

    // MARK: - Modulation

    /// The modulation of each sequence.
    private func modulation(for batch: [Sequence], observer: Observer?) -> Modulation<Device> {
        if let observer { observer("t_emb", timeEmbedding(batch.map(\.time))) }
        return modulations.modulation(
            for: batch.map { .init(time: $0.time, loras: $0.loras) }, computeModulation)
    }

    /// The modulation of a ControlNet for each sequence, from the same times.
    func modulation(of net: ControlNet<Device>, for batch: [Sequence]) -> Modulation<Device> {
        net.modulations.modulation(
            for: batch.map { .init(time: $0.time, loras: $0.loras) }
        ) { times, loras in
            let time = timeEmbedding(times, AdapterBatch([loras]))
            return net.modulation(of: device.operand(time, precision: .f32))
        }
    }

    /// Computes the modulation of several times, one row each.
    private func computeModulation(
        _ times: [Float], _ loras: LoRAStack<Device>
    ) -> Modulation<Device> {
        let adapters = AdapterBatch([loras])
        let time = timeEmbedding(times, adapters)
        let conditioning = device.operand(time, precision: .f32)
        let blocks = (noiseRefiner + layers).compactMap {
            $0.modulation(of: conditioning, adapters: adapters)
        }
        // Unlike the blocks' modulation, the final layer's has an activation before it.
        device.silu(time)
        let final = finalModulation(
            device.operand(time, precision: .f32), Segments(lengths: [times.count]), adapters)
        return Modulation(vectors: blocks + [final])
    }
}

extension Transformer.Sequence {
    /// What the rotary tables depend on.
    fileprivate var rotaryShape: RotaryCache<Device>.Shape {
        let (rows, columns) = (height / 2, width / 2)
        return .init(
            rows: rows, columns: columns,
            padding: Transformer.padded(imageTokens) - imageTokens,
            captionLength: caption.length)
    }
}
