// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Qwen3 as a text encoder: token ids in, features of the last layer but one out.
///
/// - Shapes: `n` ids give `[n, hiddenSize]`.
/// - Source: transformers 5.23, `models/qwen3/modeling_qwen3.py`, `hidden_states[-2]`; checked by
///   `ParityTests`.
package final class TextEncoder<Device: Backend>: Sendable {
    /// Where the weights are stored between prompts.
    package enum Residency: Sendable {
        /// Packed in memory.
        case resident
        /// In the files; each layer is packed when it runs, for models that do not fit in memory.
        case streamed
    }

    private struct Layer: Sendable {
        let inputNorm: Device.Vector
        let postNorm: Device.Vector
        let queryNorm: Device.Vector
        let keyNorm: Device.Vector
        let qkv: Linear<Device>
        let output: Linear<Device>
        let gateUp: Linear<Device>
        let down: Linear<Device>

        init(_ spec: TextEncoderLayerSpec, _ loader: WeightLoader<Device>) throws {
            inputNorm = try loader.vector(spec.inputNorm)
            postNorm = try loader.vector(spec.postNorm)
            queryNorm = try loader.vector(spec.queryNorm)
            keyNorm = try loader.vector(spec.keyNorm)
            qkv = try loader.linear(spec.qkv)
            output = try loader.linear(spec.output)
            gateUp = try loader.linear(spec.gateUp)
            down = try loader.linear(spec.down)
        }
    }

    private let config: TextEncoderConfig
    private let spec: TextEncoderSpec
    private let loader: WeightLoader<Device>
    private let layers: [Layer]?
    private var device: Device { loader.device }

    /// Loads the encoder, or prepares to stream it.
    package convenience init(
        config: TextEncoderConfig, store: TensorStore, device: Device, residency: Residency
    ) throws {
        try self.init(
            config: config, loader: WeightLoader(device: device, store: store),
            residency: residency)
    }

    /// Loads the encoder, or prepares to stream it; the last `layersOnHost` layers are placed on the host.
    init(
        config: TextEncoderConfig, loader: WeightLoader<Device>, residency: Residency,
        layersOnHost: Int = 0
    ) throws {
        self.config = config
        self.loader = loader
        let spec = TextEncoderSpec(config)
        self.spec = spec
        layers =
            residency == .resident
            ? try spec.layers.indices.map { index in
                if index + 1 < spec.layers.count { loader.willNeed(spec.layers[index + 1].name) }
                let isOnHost = index >= spec.layers.count - layersOnHost
                return try Layer(spec.layers[index], isOnHost ? loader.onHost : loader)
            } : nil
    }

    /// Computes the features of a prompt.
    ///
    /// - Parameters:
    ///   - ids: at least one token id below the vocabulary size.
    ///   - loras: LoRA files that are added.
    /// - Returns: `[ids.count, hiddenSize]`, row-major.
    /// - Throws: `NumericError`, or `CheckpointError` for an id without an embedding.
    package func features(
        of ids: [Int32], loras: LoRAStack<Device> = LoRAStack()
    ) throws -> [Float] {
        let adapters = AdapterBatch([loras])
        var x = device.upload(
            try embeddings(of: ids), rows: ids.count, columns: config.hiddenSize)
        let rotary = rotaryTable(count: ids.count)
        for index in 0..<config.usedLayers {
            x = try run(index, on: x, rotary: rotary, adapters)
        }
        let features = device.download(x)
        try checkFinite(device, Segments(lengths: [x.rows]), at: "text encoder output")
        guard features.allSatisfy(\.isFinite) else {
            throw NumericError(layer: "text encoder output", step: nil, sequence: 0)
        }
        return features
    }

    /// Runs one layer; tests compare precisions layer by layer.
    ///
    /// - Shapes: `[n, hiddenSize]` to the same.
    package func layer(_ index: Int, on features: [Float]) throws -> [Float] {
        let rows = features.count / config.hiddenSize
        let x = device.upload(features, rows: rows, columns: config.hiddenSize)
        return device.download(
            try run(index, on: x, rotary: rotaryTable(count: rows), AdapterBatch()))
    }

    private func run(
        _ index: Int, on input: Device.Values, rotary: RotaryTable<Device>,
        _ adapters: AdapterBatch<Device>
    ) throws -> Device.Values {
        let layer = try layers?[index] ?? Layer(spec.layers[index], loader)
        let segments = Segments(lengths: [input.rows])
        let epsilon = Float(config.rmsNormEpsilon)
        let precision = device.precision
        let shape = AttentionShape(
            heads: config.attentionHeads, keyValueHeads: config.keyValueHeads,
            headDim: config.headDim, causal: true, precision: precision)
        let queries = config.attentionHeads * config.headDim
        let keys = config.keyValueHeads * config.headDim
        let h = device.norm(
            input, kind: .rms, weight: layer.inputNorm, epsilon: epsilon, scale: nil,
            segments: segments, precision: precision)
        let qkv = layer.qkv(h, segments, adapters)
        device.normalizeHeads(
            qkv, columns: 0..<queries, weight: layer.queryNorm, epsilon: epsilon, rotary: rotary)
        device.normalizeHeads(
            qkv, columns: queries..<(queries + keys), weight: layer.keyNorm, epsilon: epsilon,
            rotary: rotary)
        let attended = device.attention(qkv, shape, segments: segments)
        let x = layer.output(attended, segments, adapters, adding: input)
        let g = device.norm(
            x, kind: .rms, weight: layer.postNorm, epsilon: epsilon, scale: nil,
            segments: segments, precision: precision)
        let y = layer.down(
            layer.gateUp.swiglu(g, segments, adapters), segments, adapters, adding: x)
        try checkFinite(device, segments, at: "text encoder \(spec.layers[index].name)")
        device.pause()
        return y
    }

    private func embeddings(of ids: [Int32]) throws -> [Float] {
        let table = try loader.tensor(spec.embeddings.name)
        var rows: [Float] = []
        rows.reserveCapacity(ids.count * config.hiddenSize)
        for id in ids {
            guard id >= 0, Int(id) < config.vocabularySize else {
                throw CheckpointError(
                    code: .badConfig,
                    message: "the tokenizer produced id \(id), but the text encoder has"
                        + " \(config.vocabularySize) embeddings.",
                    remedy: "Use the tokenizer folder that belongs to this text encoder.")
            }
            let start = Int(id) * config.hiddenSize
            rows += try table.floats(in: start..<(start + config.hiddenSize))
        }
        return rows
    }

    private func rotaryTable(count: Int) -> RotaryTable<Device> {
        let half = config.headDim / 2
        var cosines: [Float] = []
        var sines: [Float] = []
        for position in 0..<count {
            for index in 0..<half {
                let exponent = -2 * Double(index) / Double(config.headDim)
                let angle = Float(position) * Float(pow(config.ropeTheta, exponent))
                cosines.append(cosf(angle))
                sines.append(sinf(angle))
            }
        }
        return RotaryTable(
            cosines: device.upload(cosines, rows: count, columns: half),
            sines: device.upload(sines, rows: count, columns: half), pairing: .halves)
    }
}
