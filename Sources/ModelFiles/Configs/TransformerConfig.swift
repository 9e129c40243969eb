// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// Hyperparameters of the transformer, as in `transformer/config.json`.
///
/// The width of the feed-forward layers is not included; it is read from the weights' shapes.
///
/// - Source: diffusers 0.42.1, `ZImageTransformer2DModel.__init__`, also for the defaults.
public struct TransformerConfig: Sendable, Equatable {
    /// Latent channels, in and out.
    public var inChannels: Int
    /// Width of the residual stream.
    public var dim: Int
    /// Main blocks.
    public var layers: Int
    /// Blocks of each of the two refiners.
    public var refinerLayers: Int
    /// Attention heads, of keys and values too.
    public var heads: Int
    /// Added to the mean square in the norms.
    public var normEpsilon: Double
    /// Width of the text features.
    public var captionWidth: Int
    /// Base of the rotary frequencies.
    public var ropeTheta: Double
    /// Factor from the conditioning time to the sinusoid's argument.
    public var timeScale: Double
    /// Part of a head's width for each axis of position: frame, row, column.
    public var axesDims: [Int]
    /// Exclusive upper bound of the positions of each axis.
    public var axesLengths: [Int]

    /// A configuration; the defaults are those of the released model.
    public init(
        inChannels: Int = 16, dim: Int = 3840, layers: Int = 30, refinerLayers: Int = 2,
        heads: Int = 30, normEpsilon: Double = 1e-5, captionWidth: Int = 2560,
        ropeTheta: Double = 256, timeScale: Double = 1000, axesDims: [Int] = [32, 48, 48],
        axesLengths: [Int] = [1024, 512, 512]
    ) {
        self.inChannels = inChannels
        self.dim = dim
        self.layers = layers
        self.refinerLayers = refinerLayers
        self.heads = heads
        self.normEpsilon = normEpsilon
        self.captionWidth = captionWidth
        self.ropeTheta = ropeTheta
        self.timeScale = timeScale
        self.axesDims = axesDims
        self.axesLengths = axesLengths
    }

    /// Reads and checks a `config.json`.
    ///
    /// - Throws: `CheckpointError` of code `badConfig` for invalid values, `unsupported` for
    ///   variants of the architecture that are not implemented.
    public init(contentsOf url: URL) throws(CheckpointError) {
        let reader = try ConfigReader(contentsOf: url)
        try reader.require("_class_name", .string("ZImageTransformer2DModel"))
        try reader.refuseQuantized()
        try reader.requireAbsent("siglip_feat_dim")
        try reader.require("all_patch_size", .array([.integer(2)]))
        try reader.require("all_f_patch_size", .array([.integer(1)]))
        try reader.require("qk_norm", .bool(true))
        self.init()
        // `n_kv_heads` is ignored, as in the reference.
        inChannels = try reader.integer("in_channels", in: 1...1024) ?? inChannels
        dim = try reader.integer("dim", in: 2...65_536) ?? dim
        layers = try reader.integer("n_layers", in: 1...1_000) ?? layers
        refinerLayers = try reader.integer("n_refiner_layers", in: 0...1_000) ?? refinerLayers
        heads = try reader.integer("n_heads", in: 1...4_096) ?? heads
        normEpsilon = try reader.number("norm_eps", in: 0...1) ?? normEpsilon
        captionWidth = try reader.integer("cap_feat_dim", in: 1...65_536) ?? captionWidth
        ropeTheta = try reader.number("rope_theta", in: 1...1e12) ?? ropeTheta
        timeScale = try reader.number("t_scale", in: 1e-6...1e9) ?? timeScale
        axesDims = try reader.integers("axes_dims", count: 3...3, in: 2...4_096) ?? axesDims
        axesLengths =
            try reader.integers("axes_lens", count: 3...3, in: 1...1_048_576) ?? axesLengths
        try check(reader)
    }

    private func check(_ reader: ConfigReader) throws(CheckpointError) {
        guard dim.isMultiple(of: heads) else {
            throw reader.bad("dim \(dim) is not a multiple of n_heads \(heads)")
        }
        let headWidth = dim / heads
        guard axesDims.reduce(0, +) == headWidth else {
            throw reader.bad(
                "axes_dims \(axesDims) add up to \(axesDims.reduce(0, +)), expected \(headWidth),"
                    + " the width of a head (dim \(dim) / n_heads \(heads))")
        }
        guard axesDims.allSatisfy({ $0.isMultiple(of: 2) }) else {
            throw reader.bad("axes_dims \(axesDims) are not all even")
        }
    }
}
