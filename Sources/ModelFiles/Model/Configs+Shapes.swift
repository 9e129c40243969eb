// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

extension TransformerConfig {
    /// Derives the configuration from a transformer's tensor shapes; other values are those of the
    /// release.
    ///
    /// - Throws: `CheckpointError` of code `missingTensor` or `badTensor`.
    init(shapesOf store: TensorStore) throws(CheckpointError) {
        self.init(axesLengths: [1536, 512, 512])
        let embedder = try store.matrix("all_x_embedder.2-1.weight")
        let caption = try store.matrix("cap_embedder.1.weight")
        dim = embedder.rows
        inChannels = embedder.columns / 4
        captionWidth = caption.columns
        layers = store.count { "layers.\($0).attention_norm1.weight" }
        refinerLayers = store.count { "noise_refiner.\($0).attention_norm1.weight" }
        let name = "layers.0.attention.norm_q.weight"
        guard let head = store[name]?.count, head >= 8, head.isMultiple(of: 8),
            dim.isMultiple(of: head), embedder.columns.isMultiple(of: 4), inChannels <= 1024
        else {
            throw store.misfit(name, "a multiple of 8 that divides \(dim)")
        }
        heads = dim / head
        // The release has 32, 48 and 48 of 128.
        axesDims = [head / 4, head / 8 * 3, head / 8 * 3]
        guard axesDims.allSatisfy({ $0.isMultiple(of: 2) }) else {
            throw store.misfit(name, "a multiple of 16")
        }
    }
}

extension TextEncoderConfig {
    /// Derives the configuration from a text encoder's tensor shapes; other values are those of
    /// Qwen3-4B, or of a GGUF file's metadata.
    ///
    /// - Throws: `CheckpointError` of code `missingTensor`, `badTensor` or `badConfig`.
    init(shapesOf store: TensorStore, description: GGUFFile?) throws(CheckpointError) {
        let embedding = try store.matrix("embed_tokens.weight")
        let layer = "layers.0.self_attn."
        let name = layer + "q_norm.weight"
        guard let head = store[name]?.count, head >= 2, head.isMultiple(of: 2) else {
            throw store.misfit(name, "an even number")
        }
        let queries = try store.matrix(layer + "q_proj.weight").rows
        let keys = try store.matrix(layer + "k_proj.weight").rows
        guard queries.isMultiple(of: head), keys.isMultiple(of: head), keys >= head,
            (queries / head).isMultiple(of: keys / head)
        else { throw store.misfit(layer + "q_proj.weight", "heads of \(head) rows") }
        var layers = store.count { "layers.\($0).input_layernorm.weight" }
        if let count = description?.integer("qwen3.block_count"), count != layers {
            // A file may omit the last layer, which is not executed.
            guard count == layers + 1 else {
                throw store.misfit("layers.\(layers).input_layernorm.weight", "\(count) layers")
            }
            layers = count
        }
        guard layers >= 2 else {
            throw store.misfit("layers.1.input_layernorm.weight", "at least two layers")
        }
        self.init(
            vocabularySize: embedding.rows, hiddenSize: embedding.columns,
            intermediateSize: try store.matrix("layers.0.mlp.gate_proj.weight").rows,
            hiddenLayers: layers, attentionHeads: queries / head, keyValueHeads: keys / head,
            headDim: head, ropeTheta: 1_000_000, maxPositions: 40_960)
        guard let description else { return }
        if let name = description.string("general.architecture"), name != "qwen3" {
            throw CheckpointError(
                code: .unsupported,
                message: "\(store.folder.path.quoted) is a text encoder of the architecture"
                    + " \(name.quoted), expected 'qwen3'.",
                remedy: "Use Qwen3-4B.")
        }
        if let theta = description.number("qwen3.rope.freq_base"), (1...1e12).contains(theta) {
            ropeTheta = theta
        }
        if let epsilon = description.number("qwen3.attention.layer_norm_rms_epsilon"),
            (0...1).contains(epsilon)
        {
            // Stored in f32, where 1e-6 has more digits.
            rmsNormEpsilon = (epsilon * 1e9).rounded() / 1e9
        }
    }
}

extension AutoencoderConfig {
    /// Derives the configuration from an autoencoder's tensor shapes; other values are those of FLUX.1.
    ///
    /// - Throws: `CheckpointError` of code `missingTensor` or `badTensor`.
    init(shapesOf store: TensorStore) throws(CheckpointError) {
        func width(_ name: String) throws(CheckpointError) -> Int {
            guard let shape = store[name]?.shape, shape.count == 4, shape[0] > 0, shape[1] > 0
            else { throw store.misfit(name, "a convolution's kernel") }
            return shape[0]
        }
        let levels = store.count { "encoder.down_blocks.\($0).resnets.0.conv1.weight" }
        guard (1...8).contains(levels) else {
            throw store.misfit("encoder.down_blocks.0.resnets.0.conv1.weight", "1 to 8 levels")
        }
        var widths: [Int] = []
        for level in 0..<levels {
            widths.append(try width("encoder.down_blocks.\(level).resnets.0.conv1.weight"))
        }
        let moments = try width("encoder.conv_out.weight")
        self.init(
            latentChannels: moments / 2, blockOutChannels: widths,
            layersPerBlock: max(
                1, store.count { "encoder.down_blocks.0.resnets.\($0).conv1.weight" }),
            sampleSize: 1024, scalingFactor: 0.3611, shiftFactor: 0.1159,
            useQuantConv: store["quant_conv.weight"] != nil,
            usePostQuantConv: store["post_quant_conv.weight"] != nil,
            midBlockAddAttention: store["encoder.mid_block.attentions.0.to_q.weight"] != nil)
        if let odd = widths.first(where: { !$0.isMultiple(of: normGroups) }) {
            throw store.misfit(
                "encoder.conv_in.weight", "channels in groups of \(normGroups), not \(odd)")
        }
    }
}

extension TensorStore {
    /// Rows and columns of a matrix.
    fileprivate func matrix(
        _ name: String
    ) throws(CheckpointError) -> (rows: Int, columns: Int) {
        guard let shape = self[name]?.shape, shape.count == 2,
            shape.allSatisfy({ (1...16_777_216).contains($0) })
        else { throw misfit(name, "a matrix") }
        return (shape[0], shape[1])
    }

    /// Number of consecutive tensors `name(0)`, `name(1)` ….
    fileprivate func count(_ name: (Int) -> String) -> Int {
        var count = 0
        while count < 1_000, self[name(count)] != nil { count += 1 }
        return count
    }

    fileprivate func misfit(_ name: String, _ expected: String) -> CheckpointError {
        let found = self[name].map { "has the shape \($0.shape)" } ?? "is missing"
        return CheckpointError(
            code: self[name] == nil ? .missingTensor : .badTensor,
            message: "\(folder.path.quoted): tensor \(name.quoted) \(found), expected \(expected).",
            remedy: "Use a Z-Image checkpoint, or a model folder with config.json files.")
    }
}
