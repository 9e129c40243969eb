// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// The ControlNets of one evaluation of the transformer.
///
/// Each net runs once, over the sequences that use it. Its stream of tokens is the only state: a hint is made when the
/// transformer has finished the layer that it follows, and added to the rows of its sequence. What a sequence
/// receives does not depend on the others.
struct ControlPass<Device: Backend> {
    /// A net with the sequences that use it.
    private struct Run {
        let net: ControlNet<Device>
        /// Indices of sequences in the batch, with strengths.
        let items: [(sequence: Int, strength: Float)]
        let image: Segments
        let joint: Segments
        let tables: RotaryTables<Device>
        let modulation: Modulation<Device>
        /// `[rows, dim]`: the rows of `image`, later those of `joint`.
        var stream: Device.Values
    }

    private var runs: [Run]
    private let device: Device
    private let observer: Transformer<Device>.Observer?

    /// Embeds the inputs of all nets of a batch; `nil` if there are none.
    init?(
        _ batch: [Transformer<Device>.Sequence], on base: Transformer<Device>,
        observer: Transformer<Device>.Observer?
    ) {
        var nets: [ObjectIdentifier: ControlNet<Device>] = [:]
        for sequence in batch {
            for control in sequence.controls { nets[ObjectIdentifier(control.net)] = control.net }
        }
        guard !nets.isEmpty else { return nil }
        self.observer = observer
        device = base.device
        // The order of additions must be that of an image alone.
        runs = nets.values.sorted { $0.name < $1.name }.map { Self.run($0, batch, base) }
    }

    private static func run(
        _ net: ControlNet<Device>, _ batch: [Transformer<Device>.Sequence],
        _ base: Transformer<Device>
    ) -> Run {
        var items: [(sequence: Int, strength: Float)] = []
        var own: [Transformer<Device>.Sequence] = []
        var patches: [Float] = []
        let width = 4 * net.config.channels
        var lengths: [Int] = []
        for (index, sequence) in batch.enumerated() {
            for control in sequence.controls where control.net === net {
                items.append((index, control.strength))
                own.append(sequence)
                lengths.append(Transformer<Device>.padded(sequence.imageTokens))
                patches += control.patches
                patches += repeatElement(
                    0, count: lengths[lengths.count - 1] * width - control.patches.count)
            }
        }
        let image = Segments(lengths: lengths)
        let input = base.device.upload(patches, rows: image.rows, columns: width)
        let stream = net.embedder(
            base.device.operand(input, precision: .f32), image, AdapterBatch())
        base.pad(stream, own, image)
        return Run(
            net: net, items: items, image: image,
            joint: Segments(lengths: zip(lengths, own).map { $0 + $1.caption.length }),
            tables: base.tables(for: own), modulation: base.modulation(of: net, for: own),
            stream: stream)
    }

    // MARK: - Stages

    /// Begins the stage beside the noise refiner, whose input is `image`.
    mutating func enterRefiner(_ image: Device.Values, _ segments: Segments) {
        for index in runs.indices {
            let block =
                switch runs[index].net.config.refiner {
                case .plain: nil as ControlNet<Device>.Block?
                case .layers: runs[index].net.layers.first
                case .own: runs[index].net.refiner.first
                }
            if let before = block?.before {
                add(image, segments, through: before, own: runs[index].image, to: index)
            }
            observer?("control_embedded", runs[index].stream)
        }
    }

    /// Runs the blocks beside block `position` of the noise refiner, and adds their hints to its output.
    mutating func refine(
        _ position: Int, _ image: Device.Values, _ segments: Segments, pause: () -> Void
    ) throws(NumericError) {
        for index in runs.indices {
            let net = runs[index].net
            let blocks = net.config.refiner == .layers ? net.layers : net.refiner
            guard position < blocks.count else { continue }
            try advance(index, blocks[position], position, isJoint: false, pause)
            if let after = blocks[position].after {
                addHint(
                    of: index, through: after, to: image, segments, rows: runs[index].image)
            }
        }
    }

    /// Runs the blocks of the stage that have no counterpart in the noise refiner.
    mutating func leaveRefiner(after count: Int, pause: () -> Void) throws(NumericError) {
        for index in runs.indices where runs[index].net.config.refiner == .layers {
            for position in runs[index].net.layers.indices.dropFirst(count) {
                try advance(
                    index, runs[index].net.layers[position], position, isJoint: false, pause)
            }
        }
    }

    /// Begins the stage beside the layers, whose input is `rows`.
    mutating func enterLayers(
        _ rows: Device.Values, _ segments: Segments, _ batch: [Transformer<Device>.Sequence]
    ) {
        for index in runs.indices {
            let run = runs[index]
            let joint = device.makeValues(rows: run.joint.rows, columns: run.stream.columns)
            for (item, (sequence, _)) in run.items.enumerated() {
                let (image, start) = (run.image.range(item), run.joint.range(item).lowerBound)
                let caption = batch[sequence].caption
                device.copyRows(image, of: run.stream, to: joint, at: start)
                device.copyRows(
                    0..<caption.length, of: caption.tokens, to: joint, at: start + image.count)
            }
            runs[index].stream = joint
            if let before = run.net.layers.first?.before {
                add(rows, segments, through: before, own: run.joint, to: index)
            }
        }
    }

    /// Adds the hints that follow layer `layer` of the transformer to its output.
    ///
    /// - Parameters:
    ///   - layer: index of the layer.
    ///   - output: its output.
    ///   - segments: the rows of each sequence in `output`, from its first row on.
    ///   - pause: called after each block; can evaluate other sequences.
    /// - Throws: `NumericError` that names the block and the sequence.
    mutating func addHints(
        after layer: Int, to output: Device.Values, _ segments: Segments, pause: () -> Void
    ) throws(NumericError) {
        for index in runs.indices {
            let net = runs[index].net
            guard let position = net.config.places.firstIndex(of: layer) else { continue }
            try advance(
                index, net.layers[position], net.refiner.count + position, isJoint: true, pause)
            if let after = net.layers[position].after {
                addHint(of: index, through: after, to: output, segments, rows: runs[index].joint)
            }
        }
    }

    // MARK: - Parts

    /// Replaces a stream by its projection plus the rows of its sequences in `x`.
    private mutating func add(
        _ x: Device.Values, _ segments: Segments, through before: Linear<Device>, own: Segments,
        to index: Int
    ) {
        let run = runs[index]
        var seen = x
        if run.items.map(\.sequence) != Array(0..<segments.count) {
            seen = device.makeValues(rows: own.rows, columns: x.columns)
            for (item, (sequence, _)) in run.items.enumerated() {
                device.copyRows(
                    segments.range(sequence), of: x, to: seen, at: own.range(item).lowerBound)
            }
        }
        let operand = device.operand(run.stream, precision: device.precision)
        runs[index].stream = before(operand, own, AdapterBatch(), adding: seen)
    }

    /// Runs a block on a stream, in place.
    private func advance(
        _ index: Int, _ block: ControlNet<Device>.Block, _ position: Int, isJoint: Bool,
        _ pause: () -> Void
    ) throws(NumericError) {
        let run = runs[index]
        // In version 2.0 the layers run in both stages, with the same modulation.
        do {
            try block.block(
                run.stream, modulation: run.modulation.vectors[position],
                rotary: isJoint ? run.tables.joint : run.tables.image,
                segments: isJoint ? run.joint : run.image)
        } catch {
            var error = error
            error.sequence = run.items[error.sequence].sequence
            throw error
        }
        observer?(block.block.name, run.stream)
        device.pause()
        pause()
    }

    /// Makes the hint of a stream and adds it to the rows of its sequences in `output`.
    private func addHint(
        of index: Int, through after: Linear<Device>, to output: Device.Values,
        _ segments: Segments, rows own: Segments
    ) {
        let run = runs[index]
        let hint = after(
            device.operand(run.stream, precision: device.precision), own, AdapterBatch())
        for (item, (sequence, strength)) in run.items.enumerated() {
            let (from, to) = (own.range(item).lowerBound, segments.range(sequence))
            device.addRows(
                from..<(from + to.count), of: hint, scale: strength, to: output, at: to.lowerBound)
        }
    }
}
