// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing

/// Configuration texts of a small model with the family's architecture.
enum SmallModel {
    static let transformer = """
        {"_class_name": "ZImageTransformer2DModel", "_diffusers_version": "0.42.1",
         "all_f_patch_size": [1], "all_patch_size": [2], "axes_dims": [8, 12, 12],
         "axes_lens": [1536, 512, 512], "cap_feat_dim": 192, "dim": 288, "in_channels": 16,
         "n_heads": 9, "n_kv_heads": 9, "n_layers": 5, "n_refiner_layers": 1, "norm_eps": 1e-05,
         "qk_norm": true, "rope_theta": 256.0, "siglip_feat_dim": null, "t_scale": 1000.0}
        """
    static let textEncoder = """
        {"architectures": ["Qwen3Model"], "attention_bias": false, "dtype": "bfloat16",
         "head_dim": 64, "hidden_act": "silu", "hidden_size": 192, "intermediate_size": 512,
         "layer_types": ["full_attention", "full_attention", "full_attention", "full_attention"],
         "max_position_embeddings": 40960, "model_type": "qwen3", "num_attention_heads": 4,
         "num_hidden_layers": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
         "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},
         "sliding_window": null, "use_sliding_window": false, "vocab_size": 2507}
        """
    static let autoencoder = """
        {"_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [16, 32, 64, 96],
         "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
           "DownEncoderBlock2D"], "force_upcast": true, "in_channels": 3, "latent_channels": 16,
         "latents_mean": null, "latents_std": null, "layers_per_block": 1,
         "mid_block_add_attention": true, "norm_num_groups": 8, "out_channels": 3,
         "sample_size": 128, "scaling_factor": 0.3611, "shift_factor": 0.1159,
         "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D",
           "UpDecoderBlock2D"], "use_post_quant_conv": false, "use_quant_conv": false}
        """
    static let scheduler = """
        {"_class_name": "FlowMatchEulerDiscreteScheduler", "base_image_seq_len": 256,
         "base_shift": 0.5, "invert_sigmas": false, "max_image_seq_len": 4096, "max_shift": 1.15,
         "num_train_timesteps": 1000, "shift": 3.0, "shift_terminal": null,
         "stochastic_sampling": false, "time_shift_type": "exponential", "use_beta_sigmas": false,
         "use_dynamic_shifting": false, "use_exponential_sigmas": false, "use_karras_sigmas": false}
        """
    static let index = """
        {"_class_name": "ZImagePipeline", "_diffusers_version": "0.42.1",
         "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
         "text_encoder": ["transformers", "Qwen3Model"],
         "tokenizer": ["transformers", "Qwen2Tokenizer"],
         "transformer": ["diffusers", "ZImageTransformer2DModel"],
         "vae": ["diffusers", "AutoencoderKL"]}
        """
}

/// A change of one field that must be refused.
struct BadField: Sendable, CustomTestStringConvertible {
    let key: String
    let json: String
    let code: CheckpointError.Code

    init(_ key: String, _ json: String, _ code: CheckpointError.Code = .badConfig) {
        self.key = key
        self.json = json
        self.code = code
    }

    var testDescription: String { "\(key) = \(json)" }

    /// Reads a text in which the field has the bad value.
    func check<Config>(
        in text: String, _ read: (URL) throws -> Config,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        var members = try #require(
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        members[key] = try JSONSerialization.jsonObject(
            with: Data(json.utf8), options: .fragmentsAllowed)
        let folder = try TemporaryFolder()
        let url = try folder.write(
            try JSONSerialization.data(withJSONObject: members), to: "config.json")
        let error = try failure(sourceLocation: sourceLocation) { try read(url) }
        #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
        #expect(error.message.contains("config.json"), sourceLocation: sourceLocation)
        #expect(error.message.contains(key), "\(error)", sourceLocation: sourceLocation)
    }
}

@Suite struct ConfigTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func file(_ text: String) throws -> URL { try folder.write(text, to: "config.json") }

    // MARK: Transformer

    @Test("a transformer's fields are read") func transformer() throws {
        #expect(
            try TransformerConfig(contentsOf: file(SmallModel.transformer))
                == TransformerConfig(
                    inChannels: 16, dim: 288, layers: 5, refinerLayers: 1, heads: 9,
                    normEpsilon: 1e-5, captionWidth: 192, ropeTheta: 256, timeScale: 1000,
                    axesDims: [8, 12, 12], axesLengths: [1536, 512, 512]))
    }

    @Test("absent transformer fields have the class's values, unknown ones are ignored")
    func transformerDefaults() throws {
        let config = try TransformerConfig(contentsOf: file("{\"nheads\": 7, \"dim\": null}"))
        #expect(config == TransformerConfig())
        #expect(config.axesLengths == [1024, 512, 512] && config.dim == 3840)
    }

    @Test(
        "a transformer that cannot be is refused",
        arguments: [
            BadField("dim", "0"), BadField("dim", "-288"), BadField("dim", "\"288\""),
            BadField("dim", "288.5"), BadField("dim", "1e30"), BadField("dim", "100000000"),
            BadField("n_heads", "7"), BadField("n_heads", "0"), BadField("n_layers", "0"),
            BadField("n_layers", "99999"), BadField("n_refiner_layers", "-1"),
            BadField("in_channels", "0"), BadField("cap_feat_dim", "0"),
            BadField("norm_eps", "-1"), BadField("norm_eps", "\"small\""),
            BadField("rope_theta", "0"), BadField("t_scale", "0"),
            BadField("axes_dims", "[8, 12]"), BadField("axes_dims", "[8, 12, 14]"),
            BadField("axes_dims", "[9, 11, 12]"), BadField("axes_dims", "[0, 16, 16]"),
            BadField("axes_dims", "32"), BadField("axes_dims", "[8, 12, \"12\"]"),
            BadField("axes_lens", "[0, 512, 512]"), BadField("axes_lens", "[512]"),
            BadField("all_patch_size", "[4]", .unsupported),
            BadField("all_patch_size", "[2, 4]", .unsupported),
            BadField("all_f_patch_size", "[2]", .unsupported),
            BadField("qk_norm", "false", .unsupported),
            BadField("siglip_feat_dim", "1152", .unsupported),
            BadField("quantization_config", "{\"quant_method\": \"bitsandbytes\"}", .unsupported),
            BadField("_class_name", "\"FluxTransformer2DModel\"", .unsupported),
        ])
    func badTransformer(_ field: BadField) throws {
        try field.check(in: SmallModel.transformer) { try TransformerConfig(contentsOf: $0) }
    }

    // MARK: Text encoder

    @Test("both forms of a text encoder's file mean the same") func textEncoderForms() throws {
        let modern = try TextEncoderConfig(contentsOf: file(SmallModel.textEncoder))
        let released = try TextEncoderConfig(
            contentsOf: file(
                """
                {"architectures": ["Qwen3ForCausalLM"], "attention_bias": false,
                 "bos_token_id": 1, "head_dim": 64, "hidden_act": "silu", "hidden_size": 192,
                 "intermediate_size": 512, "max_position_embeddings": 40960,
                 "max_window_layers": 36, "model_type": "qwen3", "num_attention_heads": 4,
                 "num_hidden_layers": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
                 "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null,
                 "tie_word_embeddings": true, "torch_dtype": "bfloat16",
                 "use_sliding_window": false, "vocab_size": 2507}
                """))
        #expect(modern == released)
        #expect(
            modern
                == TextEncoderConfig(
                    vocabularySize: 2507, hiddenSize: 192, intermediateSize: 512, hiddenLayers: 4,
                    attentionHeads: 4, keyValueHeads: 2, headDim: 64, rmsNormEpsilon: 1e-6,
                    ropeTheta: 1_000_000, maxPositions: 40_960))
    }

    @Test("absent text encoder fields have the class's values") func textEncoderDefaults() throws {
        #expect(try TextEncoderConfig(contentsOf: file("{}")) == TextEncoderConfig())
        // An unused window is ignored; a null head count means as many as queries.
        let config = try TextEncoderConfig(
            contentsOf: file(
                """
                {"sliding_window": 4096, "num_attention_heads": 8, "num_key_value_heads": null,
                 "rope_scaling": {"rope_type": "default"}}
                """))
        #expect(config.keyValueHeads == 8 && config.ropeTheta == 10_000)
    }

    @Test(
        "a text encoder that cannot be is refused",
        arguments: [
            BadField("vocab_size", "0"), BadField("hidden_size", "-1"),
            BadField("num_hidden_layers", "1"), BadField("num_hidden_layers", "5"),
            BadField("num_key_value_heads", "3"), BadField("num_key_value_heads", "0"),
            BadField("head_dim", "63"), BadField("intermediate_size", "true"),
            BadField("rms_norm_eps", "2"), BadField("rope_theta", "500000"),
            BadField("rope_theta", "-1"), BadField("rope_parameters", "[]"),
            BadField("max_position_embeddings", "0"),
            BadField("hidden_act", "\"gelu\"", .unsupported),
            BadField("attention_bias", "true", .unsupported),
            BadField("use_sliding_window", "true", .unsupported),
            BadField("rope_scaling", "{\"type\": \"yarn\", \"factor\": 4.0}", .unsupported),
            BadField("rope_scaling", "{\"factor\": 4.0}", .unsupported),
            BadField("rope_parameters", "{\"rope_type\": \"linear\"}", .unsupported),
            BadField(
                "rope_parameters", "{\"partial_rotary_factor\": 0.5}", .unsupported),
            BadField(
                "layer_types",
                "[\"full_attention\", \"sliding_attention\", \"full_attention\", \"x\"]",
                .unsupported),
            BadField("layer_types", "[\"full_attention\"]"),
            BadField("model_type", "\"llama\"", .unsupported),
            BadField("architectures", "[\"Qwen2ForCausalLM\"]", .unsupported),
            BadField("quantization_config", "{}", .unsupported),
        ])
    func badTextEncoder(_ field: BadField) throws {
        try field.check(in: SmallModel.textEncoder) { try TextEncoderConfig(contentsOf: $0) }
    }

    // MARK: Autoencoder

    @Test("an autoencoder's fields are read") func autoencoder() throws {
        #expect(
            try AutoencoderConfig(contentsOf: file(SmallModel.autoencoder))
                == AutoencoderConfig(
                    inChannels: 3, outChannels: 3, latentChannels: 16,
                    blockOutChannels: [16, 32, 64, 96], layersPerBlock: 1, normGroups: 8,
                    sampleSize: 128, scalingFactor: 0.3611, shiftFactor: 0.1159,
                    useQuantConv: false, usePostQuantConv: false, midBlockAddAttention: true))
    }

    @Test("absent autoencoder fields have the class's values") func autoencoderDefaults() throws {
        let config = try AutoencoderConfig(contentsOf: file("{}"))
        #expect(config == AutoencoderConfig())
        #expect(config.useQuantConv && config.usePostQuantConv && config.shiftFactor == 0)
    }

    @Test(
        "an autoencoder that cannot be is refused",
        arguments: [
            BadField("latent_channels", "0"), BadField("block_out_channels", "[]"),
            BadField("block_out_channels", "[16, 32, 64]"),
            BadField("block_out_channels", "[16, 32, 64, 97]"),
            BadField("block_out_channels", "[16, 32, 64, -96]"),
            BadField("norm_num_groups", "5"), BadField("norm_num_groups", "0"),
            BadField("layers_per_block", "0"), BadField("scaling_factor", "0"),
            BadField("scaling_factor", "\"x\""), BadField("sample_size", "[128, 128]"),
            BadField("use_quant_conv", "1"), BadField("down_block_types", "[]"),
            BadField("act_fn", "\"relu\"", .unsupported),
            BadField("in_channels", "4", .unsupported),
            BadField("out_channels", "1", .unsupported),
            BadField("latents_mean", "[0.1]", .unsupported),
            BadField("latents_std", "[0.1]", .unsupported),
            BadField(
                "up_block_types",
                "[\"UpDecoderBlock2D\", \"AttnUpDecoderBlock2D\", \"x\", \"y\"]", .unsupported),
            BadField("_class_name", "\"AutoencoderTiny\"", .unsupported),
        ])
    func badAutoencoder(_ field: BadField) throws {
        try field.check(in: SmallModel.autoencoder) { try AutoencoderConfig(contentsOf: $0) }
    }

    // MARK: Scheduler

    @Test("a scheduler's fields are read") func scheduler() throws {
        #expect(try SchedulerConfig(contentsOf: file(SmallModel.scheduler)) == .turbo)
        #expect(try SchedulerConfig(contentsOf: file("{}")) == SchedulerConfig(shift: 1))
        let dynamic = try SchedulerConfig(
            contentsOf: file(
                """
                {"shift": 6, "use_dynamic_shifting": true, "base_shift": 0.25, "max_shift": 2,
                 "base_image_seq_len": 64, "max_image_seq_len": 128, "time_shift_type": "linear"}
                """))
        #expect(
            dynamic
                == SchedulerConfig(
                    shift: 6, usesDynamicShifting: true, baseShift: 0.25, maxShift: 2,
                    baseImageSequenceLength: 64, maxImageSequenceLength: 128,
                    timeShiftType: .linear))
    }

    @Test(
        "a scheduler that cannot be is refused",
        arguments: [
            BadField("shift", "0"), BadField("shift", "-3"), BadField("shift", "\"3\""),
            BadField("use_dynamic_shifting", "\"yes\""), BadField("base_image_seq_len", "4096"),
            BadField("use_karras_sigmas", "true", .unsupported),
            BadField("use_exponential_sigmas", "true", .unsupported),
            BadField("use_beta_sigmas", "true", .unsupported),
            BadField("invert_sigmas", "true", .unsupported),
            BadField("stochastic_sampling", "true", .unsupported),
            BadField("shift_terminal", "0.02", .unsupported),
            BadField("time_shift_type", "\"cubic\"", .unsupported),
            BadField("num_train_timesteps", "500", .unsupported),
            BadField("_class_name", "\"DDIMScheduler\"", .unsupported),
        ])
    func badScheduler(_ field: BadField) throws {
        try field.check(in: SmallModel.scheduler) { try SchedulerConfig(contentsOf: $0) }
    }

    // MARK: Index

    @Test("the supported pipelines are accepted", arguments: ModelIndex.supportedPipelines)
    func index(pipeline: String) throws {
        let text = SmallModel.index.replacing("ZImagePipeline", with: pipeline)
        let index = try ModelIndex(contentsOf: file(text))
        #expect(index.pipeline == pipeline)
        #expect(index.componentClasses["vae"] == "AutoencoderKL")
        #expect(
            try ModelIndex(contentsOf: file("{\"_class_name\": \"\(pipeline)\"}")).pipeline
                == pipeline)
    }

    @Test(
        "another model is refused by name",
        arguments: [
            BadField("_class_name", "\"FluxPipeline\"", .unsupported),
            BadField("_class_name", "\"ZImageOmniPipeline\"", .unsupported),
            BadField("_class_name", "\"ZImageControlNetInpaintPipeline\"", .unsupported),
            BadField("_class_name", "null"), BadField("_class_name", "3"),
            BadField("vae", "[\"diffusers\", \"AutoencoderTiny\"]", .unsupported),
            BadField("scheduler", "[\"diffusers\", \"DDIMScheduler\"]", .unsupported),
            BadField("text_encoder", "[\"transformers\", \"T5EncoderModel\"]", .unsupported),
            BadField("siglip", "[\"transformers\", \"Siglip2VisionModel\"]", .unsupported),
            BadField("vae", "\"AutoencoderKL\""), BadField("vae", "[1, 2]"),
        ])
    func badIndex(_ field: BadField) throws {
        try field.check(in: SmallModel.index) { try ModelIndex(contentsOf: $0) }
    }

    @Test(
        "damaged files of every kind fail in one sentence",
        arguments: ["", "[]", "{", "7", "\"x\""])
    func damaged(text: String) throws {
        let url = try file(text)
        #expect(try failure { try TransformerConfig(contentsOf: url) }.code == .badConfig)
        #expect(try failure { try TextEncoderConfig(contentsOf: url) }.code == .badConfig)
        #expect(try failure { try AutoencoderConfig(contentsOf: url) }.code == .badConfig)
        #expect(try failure { try SchedulerConfig(contentsOf: url) }.code == .badConfig)
        #expect(try failure { try ModelIndex(contentsOf: url) }.code == .badConfig)
    }
}
