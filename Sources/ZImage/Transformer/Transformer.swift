// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
import Synchronization
package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The S3-DiT transformer over a ragged batch of sequences.
///
/// A sequence is one picture's latents with one caption. Linear layers see the rows of all sequences;
/// attention and positions are each sequence's own.
///
/// - Shapes: latents `[C, h, w]`, `h` and `w` even; 2 x 2 latent pixels are one token.
/// - Source: diffusers 0.42.1, `transformer_z_image.py`; checked by `ParityTests`.
package final class Transformer<Device: Backend>: Sendable {
    /// A caption after the layers that do not depend on the step.
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
        /// What to draw.
        package var caption: Caption
        /// `1 - sigma`: 0 at pure noise, towards 1 at the picture.
        package var time: Float
        /// What is added beside the weights.
        package var loras: LoRAStack<Device>

        /// A sequence of the given latents, caption and time.
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

    /// Told the name of a stage and what it put out; parity tests listen.
    package typealias Observer = (_ stage: String, _ values: Device.Values) -> Void

    /// Tokens are padded to a multiple of this with learned tokens that take part like any other.
    package static var tokenMultiple: Int { 32 }

    package let config: TransformerConfig
    private let device: Device
    private let timeIn: Device.Weights
    private let timeOut: Device.Weights
    private let imageEmbedder: Device.Weights
    private let captionNorm: Device.Vector
    private let captionEmbedder: Device.Weights
    private let imagePad: Device.Values
    private let captionPad: Device.Values
    private let noiseRefiner: [TransformerBlock<Device>]
    private let contextRefiner: [TransformerBlock<Device>]
    private let layers: [TransformerBlock<Device>]
    private let finalModulation: Device.Weights
    private let finalLinear: Device.Weights
    private let tables = Mutex(Tables.Cache())
    private let modulations = Mutex<[ModulationKey: Modulation]>([:])

    /// What a modulation depends on.
    private struct ModulationKey: Hashable {
        /// The bits of the time.
        let time: UInt32
        let loras: [String]
    }

    /// What a step's times make of the modulated layers: one row a sequence, or one for all.
    private struct Modulation: Sendable {
        /// `[.., 4 * dim]` of each block, noise refiner first.
        let blocks: [Device.Values]
        /// `[.., dim]` of the final layer.
        let final: Device.Values
    }

    /// Rotary tables of one batch shape.
    private struct Tables: Sendable {
        let image: RotaryTable<Device>
        let joint: RotaryTable<Device>

        /// What was made lately; the angles of a sequence serve every batch that it is in.
        struct Cache: Sendable {
            var batches: [[Int]: Tables] = [:]
            var sequences: [[Int]: (image: RotaryAngles, joint: RotaryAngles)] = [:]
        }
    }

    /// Loads all weights; `progress` is told the share that is done.
    package convenience init(
        config: TransformerConfig, store: TensorStore, device: Device,
        progress: (Double) -> Void = { _ in }
    ) throws {
        try self.init(
            config: config, loader: WeightLoader(device: device, store: store),
            progress: progress)
    }

    /// Loads all weights; `progress` is told the share that is done.
    init(
        config: TransformerConfig, loader: WeightLoader<Device>,
        progress: (Double) -> Void = { _ in }
    ) throws {
        self.config = config
        device = loader.device
        // Small and sensitive layers stay in f32 whatever the precision of the blocks.
        func sensitive(_ name: String) throws -> Device.Weights {
            try loader.weights(["\(name).weight"], bias: ["\(name).bias"], precision: .f32)
        }
        timeIn = try sensitive("t_embedder.mlp.0")
        timeOut = try sensitive("t_embedder.mlp.2")
        imageEmbedder = try sensitive("all_x_embedder.2-1")
        captionNorm = try loader.vector("cap_embedder.0.weight")
        captionEmbedder = try sensitive("cap_embedder.1")
        imagePad = device.upload(
            try loader.numbers("x_pad_token"), rows: 1, columns: config.dim)
        captionPad = device.upload(
            try loader.numbers("cap_pad_token"), rows: 1, columns: config.dim)
        finalModulation = try sensitive("all_final_layer.2-1.adaLN_modulation.1")
        finalLinear = try sensitive("all_final_layer.2-1.linear")
        let names = config.blockNames
        var blocks: [TransformerBlock<Device>] = []
        for (index, name) in names.enumerated() {
            if index + 1 < names.count { loader.willNeed(prefix: names[index + 1] + ".") }
            blocks.append(
                try TransformerBlock(
                    name, config: config, modulated: !name.hasPrefix("context_refiner"),
                    loader: loader))
            progress(Double(index + 1) / Double(names.count))
        }
        noiseRefiner = Array(blocks[..<config.refinerLayers])
        contextRefiner = Array(blocks[config.refinerLayers..<(2 * config.refinerLayers)])
        layers = Array(blocks[(2 * config.refinerLayers)...])
    }

    // MARK: - Captions

    /// Embeds text features and runs the layers that do not depend on the step.
    ///
    /// - Parameters:
    ///   - features: `[count, captionWidth]`, row-major.
    ///   - loras: what is added beside the weights.
    ///   - observer: told what each stage puts out.
    /// - Returns: the caption for every step of a run.
    /// - Throws: `NumericError` that names the layer.
    package func prepareCaption(
        features: [Float], loras: LoRAStack<Device> = LoRAStack(), observer: Observer? = nil
    ) throws(NumericError) -> Caption {
        let count = features.count / config.captionWidth
        let real = Segments(lengths: [count])
        let adapters = AdapterBatch([loras])
        let embedded = device.product(
            device.norm(
                device.upload(features, rows: count, columns: config.captionWidth), kind: .rms,
                weight: captionNorm, epsilon: Float(config.normEpsilon), scale: nil,
                segments: real, precision: .f32), captionEmbedder,
            sides: adapters.runs(for: "cap_embedder.1", real), adding: nil)
        observer?("cap_embedded", embedded)
        let length = Self.padded(count)
        let tokens = device.makeValues(rows: length, columns: config.dim)
        device.copyRows(0..<count, of: embedded, to: tokens, at: 0)
        for row in count..<length { device.copyRows(0..<1, of: captionPad, to: tokens, at: row) }
        var angles = RotaryAngles(config: config)
        angles.appendCaption(paddedLength: length)
        let rotary = table(angles)
        let segments = Segments(lengths: [length])
        for block in contextRefiner {
            try block(
                tokens, modulation: nil, rotary: rotary, segments: segments, adapters: adapters)
            observer?(block.name, tokens)
        }
        return Caption(tokens: tokens)
    }

    /// Tokens of a part of a sequence with those that fill it up.
    package static func padded(_ count: Int) -> Int {
        (count + tokenMultiple - 1) / tokenMultiple * tokenMultiple
    }

    private func table(_ angles: RotaryAngles) -> RotaryTable<Device> {
        let half = config.headDim / 2
        let rows = angles.cosines.count / half
        return RotaryTable(
            cosines: device.upload(angles.cosines, rows: rows, columns: half),
            sines: device.upload(angles.sines, rows: rows, columns: half), pairing: .adjacent)
    }

    // MARK: - One evaluation

    /// Evaluates all sequences once.
    ///
    /// - Parameters:
    ///   - batch: the sequences.
    ///   - pause: called between blocks; may evaluate other sequences.
    ///   - observer: told what each stage puts out.
    /// - Returns: one `[C, h, w]` a sequence: the model's raw output, which points from noise to
    ///   picture.
    /// - Throws: `NumericError` that names the layer and the sequence.
    package func callAsFunction(
        _ batch: [Sequence], pause: () -> Void = {}, observer: Observer? = nil
    ) throws(NumericError) -> [[Float]] {
        let (dim, multiple) = (config.dim, Self.tokenMultiple)
        let tokens = batch.map { ($0.height / 2) * ($0.width / 2) }
        let imageSegments = Segments(lengths: tokens.map(Self.padded))
        let jointSegments = Segments(
            lengths: zip(tokens, batch).map { Self.padded($0) + $1.caption.length })
        let tables = tables(for: batch)

        let adapters = AdapterBatch(batch.map(\.loras))
        let modulation = modulation(for: batch, observer: observer)

        var patches: [Float] = []
        patches.reserveCapacity(imageSegments.rows * config.patchWidth)
        for (sequence, count) in zip(batch, tokens) {
            patches += Patches.split(
                sequence.latents, channels: config.inChannels, height: sequence.height,
                width: sequence.width)
            let padding = Self.padded(count) - count
            patches += repeatElement(0, count: padding * config.patchWidth)
        }
        let image = device.product(
            device.operand(
                device.upload(patches, rows: imageSegments.rows, columns: config.patchWidth),
                precision: .f32), imageEmbedder,
            sides: adapters.runs(for: "all_x_embedder.2-1", imageSegments), adding: nil)
        observer?("x_embedded", image)
        for (index, count) in tokens.enumerated() where !count.isMultiple(of: multiple) {
            let range = imageSegments.range(index)
            for row in (range.lowerBound + count)..<range.upperBound {
                device.copyRows(0..<1, of: imagePad, to: image, at: row)
            }
        }
        for (index, block) in noiseRefiner.enumerated() {
            try block(
                image, modulation: modulation.blocks[index], rotary: tables.image,
                segments: imageSegments, adapters: adapters)
            observer?(block.name, image)
            pause()
        }
        let joint = device.makeValues(rows: jointSegments.rows, columns: dim)
        for (index, sequence) in batch.enumerated() {
            let range = imageSegments.range(index)
            let start = jointSegments.range(index).lowerBound
            device.copyRows(range, of: image, to: joint, at: start)
            device.copyRows(
                0..<sequence.caption.length, of: sequence.caption.tokens, to: joint,
                at: start + range.count)
        }
        // Of the last block only the picture's own rows are wanted, unless somebody looks on.
        let wanted =
            observer == nil && !layers.isEmpty ? Segments(lengths: tokens) : jointSegments
        var rows = joint
        for (index, block) in layers.enumerated() {
            let isLast = index + 1 == layers.count && observer == nil
            rows = try block(
                rows, modulation: modulation.blocks[noiseRefiner.count + index],
                rotary: tables.joint, segments: jointSegments, wanted: isLast ? wanted : nil,
                adapters: adapters)
            observer?(block.name, rows)
            pause()
        }
        return try finish(
            rows, scale: modulation.final, batch: batch, segments: wanted, adapters: adapters,
            observer: observer)
    }

    private func finish(
        _ rows: Device.Values, scale: Device.Values, batch: [Sequence], segments: Segments,
        adapters: AdapterBatch<Device>, observer: Observer?
    ) throws(NumericError) -> [[Float]] {
        let normed = device.norm(
            rows, kind: .layer, weight: nil, epsilon: 1e-6,
            scale: ModulationSlice(scale, column: 0), segments: segments, precision: .f32)
        let final = device.product(
            normed, finalLinear,
            sides: adapters.runs(for: "all_final_layer.2-1.linear", segments), adding: nil)
        observer?("final_layer", final)
        let patches = device.download(final)
        try checkFinite(device, segments, at: "transformer final layer")
        var outputs: [[Float]] = []
        for (index, sequence) in batch.enumerated() {
            let start = segments.range(index).lowerBound
            let count = (sequence.height / 2) * (sequence.width / 2)
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

    /// `[sequences, conditioningWidth]` from times, by a sinusoid (cosines first) and two layers.
    private func timeEmbedding(
        _ times: [Float], _ adapters: AdapterBatch<Device> = AdapterBatch()
    ) -> Device.Values {
        let half = 128
        let rows = Segments(lengths: [times.count])
        var waves: [Float] = []
        for time in times {
            let angles = (0..<half).map { index in
                time * Float(config.timeScale)
                    * expf(-logf(10000) * Float(index) / Float(half))
            }
            waves += angles.map(cosf)
            waves += angles.map(sinf)
        }
        let hidden = device.product(
            device.operand(
                device.upload(waves, rows: times.count, columns: 2 * half), precision: .f32),
            timeIn, sides: adapters.runs(for: "t_embedder.mlp.0", rows), adding: nil)
        device.silu(hidden)
        return device.product(
            device.operand(hidden, precision: .f32), timeOut,
            sides: adapters.runs(for: "t_embedder.mlp.2", rows), adding: nil)
    }

    /// What the times of a batch make of every modulated layer, one row a sequence; a time's own is
    /// kept, since all pictures of as many steps pass the same times.
    private func modulation(for batch: [Sequence], observer: Observer?) -> Modulation {
        if let observer { observer("t_emb", timeEmbedding(batch.map(\.time))) }
        let keys = batch.map {
            ModulationKey(time: $0.time.bitPattern, loras: $0.loras.modulationKey)
        }
        let distinct = Set(keys)
        let known = modulations.withLock { known in
            if !distinct.isSubset(of: known.keys) {
                if known.count + distinct.count > keptModulations { known.removeAll() }
                // A row depends on its own time alone: computed together they are as if alone.
                let missing = distinct.subtracting(known.keys)
                for (loras, missing) in Dictionary(grouping: missing, by: \.loras) {
                    let stack = zip(keys, batch).first { $0.0.loras == loras }?.1.loras
                    let made = makeModulations(
                        missing.map { Float(bitPattern: $0.time) }, stack ?? LoRAStack())
                    for (key, own) in zip(missing, made) { known[key] = own }
                }
            }
            return known
        }
        let own = keys.compactMap { known[$0] }
        let first = own[0]
        guard distinct.count > 1 else { return first }
        func gathered(_ part: (Modulation) -> Device.Values) -> Device.Values {
            let rows = device.makeValues(rows: own.count, columns: part(first).columns)
            for (index, one) in own.enumerated() {
                device.copyRows(0..<1, of: part(one), to: rows, at: index)
            }
            return rows
        }
        return Modulation(
            blocks: first.blocks.indices.map { index in gathered { $0.blocks[index] } },
            final: gathered(\.final))
    }

    /// One for each time.
    private func makeModulations(_ times: [Float], _ loras: LoRAStack<Device>) -> [Modulation] {
        let adapters = AdapterBatch([loras])
        let time = timeEmbedding(times, adapters)
        let conditioning = device.operand(time, precision: .f32)
        let blocks = (noiseRefiner + layers).compactMap {
            $0.modulation(of: conditioning, adapters: adapters)
        }
        // Unlike the blocks' modulation, the final layer's has an activation before it.
        device.silu(time)
        let final = device.product(
            device.operand(time, precision: .f32), finalModulation,
            sides: adapters.runs(
                for: "all_final_layer.2-1.adaLN_modulation.1", Segments(lengths: [times.count])),
            adding: nil)
        return times.indices.map { index in
            func row(_ values: Device.Values) -> Device.Values {
                let own = device.makeValues(rows: 1, columns: values.columns)
                device.copyRows(index..<(index + 1), of: values, to: own, at: 0)
                return own
            }
            return Modulation(blocks: blocks.map(row), final: row(final))
        }
    }

    /// Times whose modulation is kept: 64 MiB of them, which is 33 of a model of the real size.
    private var keptModulations: Int {
        let numbers = (noiseRefiner.count + layers.count) * 4 * config.dim + config.dim
        return max(8, min(256, (64 << 20) / (4 * numbers)))
    }

    /// Rotary tables, kept for the next step: the shape of a batch rarely changes between steps.
    private func tables(for batch: [Sequence]) -> Tables {
        let keys = batch.map { [$0.height, $0.width, $0.caption.length] }
        let key = keys.flatMap(\.self)
        return tables.withLock { cache in
            if let known = cache.batches[key] { return known }
            var image = RotaryAngles(config: config)
            var joint = RotaryAngles(config: config)
            for (sequence, key) in zip(batch, keys) {
                let own = cache.sequences[key] ?? angles(of: sequence)
                if cache.sequences.count >= 32 { cache.sequences.removeAll() }
                cache.sequences[key] = own
                image.append(own.image)
                joint.append(own.joint)
            }
            let made = Tables(image: table(image), joint: table(joint))
            if cache.batches.count >= 8 { cache.batches.removeAll() }
            cache.batches[key] = made
            return made
        }
    }

    private func angles(of sequence: Sequence) -> (image: RotaryAngles, joint: RotaryAngles) {
        let (rows, columns) = (sequence.height / 2, sequence.width / 2)
        let length = sequence.caption.length
        var image = RotaryAngles(config: config)
        image.appendImage(
            rows: rows, columns: columns, padding: Self.padded(rows * columns) - rows * columns,
            captionLength: length)
        var joint = image
        joint.appendCaption(paddedLength: length)
        return (image, joint)
    }
}
