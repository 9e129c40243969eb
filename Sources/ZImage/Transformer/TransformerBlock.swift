// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// One block of the transformer: attention, then a gated feed-forward layer, each between two norms.
///
/// Modulated blocks scale what enters and gate what leaves by four vectors of the step:
/// scale and gate of the attention, scale and gate of the feed-forward layer. There are no shifts.
///
/// - Source: diffusers 0.42.1, `transformer_z_image.py`, `ZImageTransformerBlock`; checked by
///   `ParityTests`.
struct TransformerBlock<Device: Backend>: Sendable {
    let name: String
    private let device: Device
    private let shape: AttentionShape
    private let dim: Int
    private let epsilon: Float
    private let attentionNorm1: Device.Vector
    private let attentionNorm2: Device.Vector
    private let feedForwardNorm1: Device.Vector
    private let feedForwardNorm2: Device.Vector
    private let queryNorm: Device.Vector
    private let keyNorm: Device.Vector
    private let qkv: Device.Weights
    private let output: Device.Weights
    private let gateUp: Device.Weights
    private let down: Device.Weights
    private let modulation: Device.Weights?
    /// What adapters know the products by.
    private let keys:
        (qkv: String, output: String, gateUp: String, down: String, modulation: String)

    init(
        _ name: String, config: TransformerConfig, modulated: Bool, loader: WeightLoader<Device>
    ) throws {
        self.name = name
        keys = (
            "\(name).attention.to_q", "\(name).attention.to_out.0", "\(name).feed_forward.w1",
            "\(name).feed_forward.w2", "\(name).adaLN_modulation.0"
        )
        device = loader.device
        dim = config.dim
        epsilon = Float(config.normEpsilon)
        let precision = loader.device.precision
        shape = AttentionShape(
            heads: config.heads, keyValueHeads: config.heads, headDim: config.headDim,
            causal: false, precision: precision)
        attentionNorm1 = try loader.vector("\(name).attention_norm1.weight")
        attentionNorm2 = try loader.vector("\(name).attention_norm2.weight")
        feedForwardNorm1 = try loader.vector("\(name).ffn_norm1.weight")
        feedForwardNorm2 = try loader.vector("\(name).ffn_norm2.weight")
        queryNorm = try loader.vector("\(name).attention.norm_q.weight")
        keyNorm = try loader.vector("\(name).attention.norm_k.weight")
        qkv = try loader.weights(
            ["to_q", "to_k", "to_v"].map { "\(name).attention.\($0).weight" },
            precision: precision)
        output = try loader.weights(["\(name).attention.to_out.0.weight"], precision: precision)
        gateUp = try loader.weights(
            ["\(name).feed_forward.w1.weight", "\(name).feed_forward.w3.weight"], layout: .gated,
            precision: precision)
        down = try loader.weights(["\(name).feed_forward.w2.weight"], precision: precision)
        modulation =
            modulated
            ? try loader.weights(
                ["\(name).adaLN_modulation.0.weight"], bias: ["\(name).adaLN_modulation.0.bias"],
                precision: .f32) : nil
    }

    /// What the step's time makes of this block: scale and gate of the attention, then of the
    /// feed-forward layer; `nil` for unmodulated blocks.
    ///
    /// - Shapes: `[times, conditioningWidth]` to `[times, 4 * dim]`.
    func modulation(
        of conditioning: Device.Operand, adapters: AdapterBatch<Device> = AdapterBatch()
    ) -> Device.Values? {
        guard let modulation else { return nil }
        let rows = Segments(lengths: [conditioning.rows])
        let vectors = device.product(
            conditioning, modulation, sides: adapters.runs(for: keys.modulation, rows), adding: nil)
        device.tanh(vectors, columns: dim..<(2 * dim))
        device.tanh(vectors, columns: (3 * dim)..<(4 * dim))
        return vectors
    }

    /// Runs the block, in place where all rows are wanted.
    ///
    /// - Parameters:
    ///   - x: `[rows, dim]`, all sequences one after the other.
    ///   - modulation: `[sequences, 4 * dim]`, or one row for all; `nil` for unmodulated blocks.
    ///   - rotary: one angle a row and pair.
    ///   - segments: the rows of each sequence.
    ///   - wanted: how many rows of each sequence, from its first on, are computed to the end. The
    ///     others serve as keys and values alone. All, if not given.
    ///   - adapters: what LoRA files add to each sequence.
    /// - Returns: the wanted rows.
    /// - Throws: `NumericError` that names the block.
    @discardableResult
    func callAsFunction(
        _ x: Device.Values, modulation: Device.Values?, rotary: RotaryTable<Device>,
        segments: Segments, wanted: Segments? = nil,
        adapters: AdapterBatch<Device> = AdapterBatch()
    ) throws(NumericError) -> Device.Values {
        func slice(_ index: Int) -> ModulationSlice<Device>? {
            modulation.map { ModulationSlice($0, column: index * dim) }
        }
        let precision = device.precision
        let h = device.norm(
            x, kind: .rms, weight: attentionNorm1, epsilon: epsilon, scale: slice(0),
            segments: segments, precision: precision)
        let mixed = device.product(
            h, qkv, sides: adapters.runs(for: keys.qkv, segments), adding: nil)
        // The head norms' epsilon is fixed in the reference, whatever the config says.
        device.normalizeHeads(
            mixed, columns: 0..<dim, weight: queryNorm, epsilon: 1e-5, rotary: rotary)
        device.normalizeHeads(
            mixed, columns: dim..<(2 * dim), weight: keyNorm, epsilon: 1e-5, rotary: rotary)
        if wanted != nil { try checkFinite(device, segments, at: "transformer \(name)") }
        let rows = wanted ?? segments
        let attended = device.attention(mixed, shape, segments: segments, queries: rows)
        let y = wanted == nil ? x : firstRows(of: x, segments, wanted: rows)
        device.addNorm(
            device.product(
                attended, output, sides: adapters.runs(for: keys.output, rows), adding: nil),
            to: y, weight: attentionNorm2, epsilon: epsilon, gate: slice(1), segments: rows)
        let g = device.norm(
            y, kind: .rms, weight: feedForwardNorm1, epsilon: epsilon, scale: slice(2),
            segments: rows, precision: precision)
        let gated = device.gatedProduct(g, gateUp, sides: adapters.runs(for: keys.gateUp, rows))
        let fed = device.product(
            gated, down, sides: adapters.runs(for: keys.down, rows), adding: nil)
        device.addNorm(
            fed, to: y, weight: feedForwardNorm2, epsilon: epsilon, gate: slice(3), segments: rows)
        try checkFinite(device, rows, at: "transformer \(name)")
        return y
    }

    private func firstRows(
        of x: Device.Values, _ segments: Segments, wanted: Segments
    ) -> Device.Values {
        let y = device.makeValues(rows: wanted.rows, columns: dim)
        for index in 0..<segments.count {
            let (from, to) = (segments.range(index).lowerBound, wanted.range(index))
            device.copyRows(from..<(from + to.count), of: x, to: y, at: to.lowerBound)
        }
        return y
    }
}
