// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// Hyperparameters of the autoencoder, as in `vae/config.json`.
///
/// - Source: diffusers 0.42.1, `AutoencoderKL.__init__`, also for the defaults.
public struct AutoencoderConfig: Sendable, Equatable {
    /// Channels of the encoder's input image.
    public var inChannels: Int
    /// Channels of the decoder's output image.
    public var outChannels: Int
    /// Channels of the latents.
    public var latentChannels: Int
    /// Channels of each level, finest first; never empty.
    public var blockOutChannels: [Int]
    /// Residual blocks of a level of the encoder; the decoder has one more.
    public var layersPerBlock: Int
    /// Groups of each group norm.
    public var normGroups: Int
    /// Side length of the training images, in pixels.
    public var sampleSize: Int
    /// Divisor of the latents before decoding.
    public var scalingFactor: Double
    /// Added after the division; 0 if the file has null.
    public var shiftFactor: Double
    /// Whether the encoder ends with a 1 x 1 convolution.
    public var useQuantConv: Bool
    /// Whether the decoder begins with a 1 x 1 convolution.
    public var usePostQuantConv: Bool
    /// Whether there is attention at the coarsest level.
    public var midBlockAddAttention: Bool

    /// A configuration; the defaults are those of the architecture's class.
    public init(
        inChannels: Int = 3, outChannels: Int = 3, latentChannels: Int = 4,
        blockOutChannels: [Int] = [64], layersPerBlock: Int = 1, normGroups: Int = 32,
        sampleSize: Int = 32, scalingFactor: Double = 0.18215, shiftFactor: Double = 0,
        useQuantConv: Bool = true, usePostQuantConv: Bool = true,
        midBlockAddAttention: Bool = true
    ) {
        self.inChannels = inChannels
        self.outChannels = outChannels
        self.latentChannels = latentChannels
        self.blockOutChannels = blockOutChannels
        self.layersPerBlock = layersPerBlock
        self.normGroups = normGroups
        self.sampleSize = sampleSize
        self.scalingFactor = scalingFactor
        self.shiftFactor = shiftFactor
        self.useQuantConv = useQuantConv
        self.usePostQuantConv = usePostQuantConv
        self.midBlockAddAttention = midBlockAddAttention
    }

    /// Reads and checks a `config.json`.
    ///
    /// - Throws: `CheckpointError` of code `badConfig` for invalid values, `unsupported` for
    ///   variants of the architecture that are not implemented.
    public init(contentsOf url: URL) throws(CheckpointError) {
        let reader = try ConfigReader(contentsOf: url)
        try reader.require("_class_name", .string("AutoencoderKL"))
        try reader.refuseQuantized()
        try reader.require("act_fn", .string("silu"))
        try reader.requireAbsent("latents_mean")
        try reader.requireAbsent("latents_std")
        // The engine's images are RGB.
        try reader.require("in_channels", .integer(3))
        try reader.require("out_channels", .integer(3))
        self.init()
        latentChannels = try reader.integer("latent_channels", in: 1...1024) ?? latentChannels
        blockOutChannels =
            try reader.integers("block_out_channels", count: 1...8, in: 1...4096)
            ?? blockOutChannels
        layersPerBlock = try reader.integer("layers_per_block", in: 1...64) ?? layersPerBlock
        normGroups = try reader.integer("norm_num_groups", in: 1...16_384) ?? normGroups
        sampleSize = try reader.integer("sample_size", in: 1...65_536) ?? sampleSize
        scalingFactor = try reader.number("scaling_factor", in: 1e-6...1e6) ?? scalingFactor
        shiftFactor = try reader.number("shift_factor", in: -1e6...1e6) ?? shiftFactor
        useQuantConv = try reader.bool("use_quant_conv") ?? useQuantConv
        usePostQuantConv = try reader.bool("use_post_quant_conv") ?? usePostQuantConv
        midBlockAddAttention =
            try reader.bool("mid_block_add_attention") ?? midBlockAddAttention
        try checkBlocks("down_block_types", of: "DownEncoderBlock2D", reader)
        try checkBlocks("up_block_types", of: "UpDecoderBlock2D", reader)
        if let odd = blockOutChannels.first(where: { !$0.isMultiple(of: normGroups) }) {
            throw reader.bad(
                "block_out_channels has \(odd), which is not a multiple of norm_num_groups"
                    + " \(normGroups)")
        }
    }

    private func checkBlocks(
        _ key: String, of type: String, _ reader: ConfigReader
    ) throws(CheckpointError) {
        let types = try reader.strings(key, count: 1...8) ?? [type]
        if let other = types.first(where: { $0 != type }) {
            throw reader.unsupported(key, .string(other), expected: "only '\(type)'")
        }
        guard types.count == blockOutChannels.count else {
            throw reader.bad(
                "\(key) has \(types.count) entries, expected \(blockOutChannels.count), as many as"
                    + " block_out_channels")
        }
    }
}
