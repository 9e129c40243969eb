// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// Hyperparameters of the text encoder, as in `text_encoder/config.json`.
///
/// Both forms are read: `rope_theta` at the top (transformers 4) and inside `rope_parameters`
/// (transformers 5).
///
/// - Source: transformers 5.23.0, `Qwen3Config`, also for the defaults.
public struct TextEncoderConfig: Sendable, Equatable {
    /// Rows of the embedding.
    public var vocabularySize: Int
    /// Width of the residual stream.
    public var hiddenSize: Int
    /// Width of the feed-forward layers.
    public var intermediateSize: Int
    /// Layers in the file; the last one is not executed.
    public var hiddenLayers: Int
    /// Heads of queries.
    public var attentionHeads: Int
    /// Heads of keys and values.
    public var keyValueHeads: Int
    /// Width of a head; need not be `hiddenSize / attentionHeads`.
    public var headDim: Int
    /// Added to the mean square in the norms.
    public var rmsNormEpsilon: Double
    /// Base of the rotary frequencies.
    public var ropeTheta: Double
    /// Exclusive upper bound of the number of prompt tokens.
    public var maxPositions: Int

    /// A configuration; the defaults are those of the architecture's class.
    public init(
        vocabularySize: Int = 151_936, hiddenSize: Int = 4096, intermediateSize: Int = 22_016,
        hiddenLayers: Int = 32, attentionHeads: Int = 32, keyValueHeads: Int = 32,
        headDim: Int = 128, rmsNormEpsilon: Double = 1e-6, ropeTheta: Double = 10_000,
        maxPositions: Int = 32_768
    ) {
        self.vocabularySize = vocabularySize
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.hiddenLayers = hiddenLayers
        self.attentionHeads = attentionHeads
        self.keyValueHeads = keyValueHeads
        self.headDim = headDim
        self.rmsNormEpsilon = rmsNormEpsilon
        self.ropeTheta = ropeTheta
        self.maxPositions = maxPositions
    }

    /// Reads and checks a `config.json`.
    ///
    /// - Throws: `CheckpointError` of code `badConfig` for invalid values, `unsupported` for
    ///   variants of the architecture that are not implemented.
    public init(contentsOf url: URL) throws(CheckpointError) {
        let reader = try ConfigReader(contentsOf: url)
        try Self.checkVariant(reader)
        self.init()
        vocabularySize = try reader.integer("vocab_size", in: 1...16_777_216) ?? vocabularySize
        hiddenSize = try reader.integer("hidden_size", in: 1...65_536) ?? hiddenSize
        intermediateSize =
            try reader.integer("intermediate_size", in: 1...1_048_576) ?? intermediateSize
        // At least two: the features are the output of the second to last layer.
        hiddenLayers = try reader.integer("num_hidden_layers", in: 2...1_000) ?? hiddenLayers
        attentionHeads =
            try reader.integer("num_attention_heads", in: 1...4_096) ?? attentionHeads
        let heads = try reader.integer("num_key_value_heads", in: 1...4_096)
        // A null means "as many as queries", an absent field the default of the class.
        keyValueHeads =
            heads ?? (reader.members["num_key_value_heads"] == nil ? keyValueHeads : attentionHeads)
        headDim = try reader.integer("head_dim", in: 2...4_096) ?? headDim
        rmsNormEpsilon = try reader.number("rms_norm_eps", in: 0...1) ?? rmsNormEpsilon
        maxPositions =
            try reader.integer("max_position_embeddings", in: 1...16_777_216) ?? maxPositions
        ropeTheta = try Self.theta(reader) ?? ropeTheta
        guard attentionHeads.isMultiple(of: keyValueHeads) else {
            throw reader.bad(
                "num_attention_heads \(attentionHeads) is not a multiple of num_key_value_heads"
                    + " \(keyValueHeads)")
        }
        guard headDim.isMultiple(of: 2) else {
            throw reader.bad("head_dim \(headDim) is odd, expected an even number")
        }
        if let types = reader["layer_types"], case .array(let list) = types,
            list.count != hiddenLayers
        {
            throw reader.bad(
                "layer_types has \(list.count) entries, expected \(hiddenLayers), as many as"
                    + " num_hidden_layers")
        }
    }

    private static func checkVariant(_ reader: ConfigReader) throws(CheckpointError) {
        try reader.require("model_type", .string("qwen3"))
        let classes = ["Qwen3ForCausalLM", "Qwen3Model"]
        if let names = try reader.strings("architectures", count: 0...8), let first = names.first,
            !names.contains(where: classes.contains)
        {
            throw reader.unsupported(
                "architectures", .string(first), expected: classes.joined(separator: " or "))
        }
        try reader.refuseQuantized()
        try reader.require("hidden_act", .string("silu"))
        try reader.require("attention_bias", .bool(false))
        try reader.require("use_sliding_window", .bool(false))
        // `sliding_window` has an effect only with the flag, as in the class itself.
        let full = "full_attention"
        if let types = try reader.strings("layer_types", count: 0...1_000),
            let other = types.first(where: { $0 != full })
        {
            throw reader.unsupported("layer_types", .string(other), expected: "only '\(full)'")
        }
    }

    /// Reads the rotary base from either field, and rejects scaling.
    private static func theta(_ reader: ConfigReader) throws(CheckpointError) -> Double? {
        let range = 1...1e12
        var theta = try reader.number("rope_theta", in: range)
        for key in ["rope_scaling", "rope_parameters"] {
            guard let rope = try reader.object(key) else { continue }
            try rope.require("rope_type", .string("default"))
            try rope.require("type", .string("default"))
            try rope.requireAbsent("factor")
            if let share = try rope.number("partial_rotary_factor", in: 0...1), share != 1 {
                throw rope.unsupported(
                    "partial_rotary_factor", .number(share), expected: "1")
            }
            guard let inner = try rope.number("rope_theta", in: range) else { continue }
            guard theta == nil || theta == inner else {
                throw reader.bad("rope_theta and \(key).rope_theta differ")
            }
            theta = inner
        }
        return theta
    }
}
