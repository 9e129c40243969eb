// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// The layers of a transformer block, under the names of the diffusers checkpoint.
package struct TransformerBlockSpec: Sendable {
    /// Name of the block, such as `layers.3`.
    package let name: String
    let attentionNorm1: TensorSpec
    let attentionNorm2: TensorSpec
    let feedForwardNorm1: TensorSpec
    let feedForwardNorm2: TensorSpec
    let queryNorm: TensorSpec
    let keyNorm: TensorSpec
    let qkv: LinearSpec
    let output: LinearSpec
    let gateUp: LinearSpec
    let down: LinearSpec
    /// `nil` for blocks that do not depend on the time.
    let modulation: LinearSpec?

    /// Declares a block; unmodulated blocks run once for each prompt.
    init(
        _ name: String, isModulated: Bool, config: TransformerConfig, feedForward: Int,
        in builder: inout SpecBuilder
    ) {
        let dim = config.dim
        let stage: LinearSpec.Stage = isModulated ? .step : .caption
        self.name = name
        attentionNorm1 = builder.norm("\(name).attention_norm1", dim)
        attentionNorm2 = builder.norm("\(name).attention_norm2", dim)
        feedForwardNorm1 = builder.norm("\(name).ffn_norm1", dim)
        feedForwardNorm2 = builder.norm("\(name).ffn_norm2", dim)
        let attention = "\(name).attention"
        qkv = builder.linear(
            ["\(attention).to_q": dim, "\(attention).to_k": dim, "\(attention).to_v": dim],
            fusedAlias: "\(attention).qkv", inputs: dim, stage: stage)
        output = builder.linear(
            "\(attention).to_out.0",
            aliases: ["\(attention).out", "\(attention).wo", "\(attention).to_out"], inputs: dim,
            outputs: dim, stage: stage)
        queryNorm = builder.norm("\(attention).norm_q", config.headDim)
        keyNorm = builder.norm("\(attention).norm_k", config.headDim)
        gateUp = builder.linear(
            ["\(name).feed_forward.w1": feedForward, "\(name).feed_forward.w3": feedForward],
            inputs: dim, layout: .gated, stage: stage)
        down = builder.linear(
            "\(name).feed_forward.w2", inputs: feedForward, outputs: dim, stage: stage)
        modulation =
            isModulated
            ? builder.linear(
                "\(name).adaLN_modulation.0", inputs: config.conditioningWidth, outputs: 4 * dim,
                bias: true, accuracy: .full, stage: .modulation) : nil
    }

    /// Bytes of all matrices, if those of products have `width` bytes for each number.
    func weightBytes(_ width: Int) -> Int {
        let products = [qkv, output, gateUp, down].reduce(0) { $0 + $1.inputs * $1.outputs }
        return products * width + (modulation.map { 4 * $0.inputs * $0.outputs } ?? 0)
    }

    /// Bytes of the largest matrix with the scales of its rows.
    func largestMatrixBytes(_ width: Int) -> Int {
        let products = [qkv, output, gateUp, down].map { $0.bytes(width) }
        return max(products.max() ?? 0, modulation?.bytes(4) ?? 0)
    }

    /// Operations for one sequence; see `TransformerSpec.operations`.
    ///
    /// - Parameters:
    ///   - tokens: all tokens of the sequence.
    ///   - completed: tokens that are computed to the end; the others serve as keys and values.
    /// - Returns: two for each multiply-add of products and attention.
    func operations(tokens: Int, completed: Int) -> Int {
        let attention = 4 * completed * tokens * output.inputs
        return tokens * qkv.operations + attention
            + completed * (output.operations + gateUp.operations + down.operations)
    }
}

/// One block of the transformer: attention, then a gated feed-forward layer, each between two norms.
///
/// Modulated blocks scale the input and gate the output of both layers by four vectors that depend on
/// the time: scale and gate of the attention, scale and gate of the feed-forward layer. There are no
/// shifts.
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
    private let qkv: Linear<Device>
    private let output: Linear<Device>
    private let gateUp: Linear<Device>
    private let down: Linear<Device>
    private let modulation: Linear<Device>?

    /// Loads a block.
    init(
        _ spec: TransformerBlockSpec, config: TransformerConfig, loader: WeightLoader<Device>
    ) throws {
        name = spec.name
        device = loader.device
        dim = config.dim
        epsilon = Float(config.normEpsilon)
        shape = AttentionShape(
            heads: config.heads, keyValueHeads: config.heads, headDim: config.headDim,
            causal: false, precision: loader.device.precision)
        attentionNorm1 = try loader.vector(spec.attentionNorm1)
        attentionNorm2 = try loader.vector(spec.attentionNorm2)
        feedForwardNorm1 = try loader.vector(spec.feedForwardNorm1)
        feedForwardNorm2 = try loader.vector(spec.feedForwardNorm2)
        queryNorm = try loader.vector(spec.queryNorm)
        keyNorm = try loader.vector(spec.keyNorm)
        qkv = try loader.linear(spec.qkv)
        output = try loader.linear(spec.output)
        gateUp = try loader.linear(spec.gateUp)
        down = try loader.linear(spec.down)
        modulation = try spec.modulation.map { try loader.linear($0) }
    }

    /// Returns scale and gate of the attention, then of the feed-forward layer, for each time; `nil`
    /// for unmodulated blocks.
    ///
    /// - Shapes: `[times, conditioningWidth]` to `[times, 4 * dim]`.
    func modulation(
        of conditioning: Device.Operand, adapters: AdapterBatch<Device> = AdapterBatch()
    ) -> Device.Values? {
        guard let modulation else { return nil }
        let vectors = modulation(conditioning, Segments(lengths: [conditioning.rows]), adapters)
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
    ///   - wanted: how many rows of each sequence, from its first, are computed to the end. The
    ///     others serve as keys and values alone. All rows if not given.
    ///   - adapters: the LoRA files of each sequence.
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
        let qkv = qkv(h, segments, adapters)
        // The head norms' epsilon is fixed in the reference, whatever the config says.
        device.normalizeHeads(
            qkv, columns: 0..<dim, weight: queryNorm, epsilon: 1e-5, rotary: rotary)
        device.normalizeHeads(
            qkv, columns: dim..<(2 * dim), weight: keyNorm, epsilon: 1e-5, rotary: rotary)
        if wanted != nil { try checkFinite(device, segments, at: "transformer \(name)") }
        let rows = wanted ?? segments
        let attended = device.attention(qkv, shape, segments: segments, queries: rows)
        let y = wanted == nil ? x : firstRows(of: x, segments, wanted: rows)
        device.addNorm(
            output(attended, rows, adapters), to: y, weight: attentionNorm2, epsilon: epsilon,
            gate: slice(1), segments: rows)
        let g = device.norm(
            y, kind: .rms, weight: feedForwardNorm1, epsilon: epsilon, scale: slice(2),
            segments: rows, precision: precision)
        device.addNorm(
            down(gateUp.swiglu(g, rows, adapters), rows, adapters), to: y,
            weight: feedForwardNorm2, epsilon: epsilon, gate: slice(3), segments: rows)
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
