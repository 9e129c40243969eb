// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing

/// Weights that are quantised in formats that are not read: the error names the format and what works instead.
@Suite struct ForeignQuantizationTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func check(_ error: CheckpointError, names format: String) {
        #expect(error.code == .unsupported)
        #expect(error.message.contains("quantised with \(format) ("), "\(error)")
        #expect(error.remedy?.contains("GGUF") == true && error.remedy?.contains("BF16") == true)
    }

    @Test(
        "a configuration names its format",
        arguments: [
            (#""quantization_config": {"quant_method": "sdnq", "weights_dtype": "uint4"}"#, "SDNQ"),
            (
                #""quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}"#,
                "block-scaled fp8"
            ),
            (#""quantization_config": {"quant_method": "QuantizationMethod.GPTQ"}"#, "GPTQ"),
            (#""quantization_config": {"quant_method": "gptq", "bits": 4}"#, "GPTQ"),
            (#""quantization_config": {"quant_method": "awq", "version": "gemm"}"#, "AWQ"),
            (#""quantization_config": {"load_in_4bit": true}"#, "bitsandbytes"),
            (#""quantization_config": {"quant_method": "nunchaku_lite"}"#, "Nunchaku"),
            (#""quantization_config": {"quant_method": "intel/auto-round"}"#, "AutoRound"),
            (#""quantization_config": {"quant_algo": "NVFP4"}"#, "'NVFP4'"),
            (#""quantization_config": {}"#, "an unknown method"),
            (#""quantization": {"group_size": 64, "bits": 4}"#, "MLX"),
            (#""dfloat11_config": {"version": "0.5.0"}"#, "DFloat11"),
        ])
    func configurations(field: String, format: String) throws {
        let url = try folder.write(
            #"{"_class_name": "ZImageTransformer2DModel", \#(field)}"#, to: "config.json")
        check(try failure { try TransformerConfig(contentsOf: url) }, names: format)
        let text = try folder.write(#"{"model_type": "qwen3", \#(field)}"#, to: "text.json")
        check(try failure { try TextEncoderConfig(contentsOf: text) }, names: format)
    }

    @Test(
        "so do the names of tensors",
        arguments: [
            (["a.weight", "a.scale", "a.zero_point"], "SDNQ"), (["a.weight", "a.scale"], "SDNQ"),
            (["a.weight", "a.svd_up", "a.svd_down"], "SDNQ"),
            (["a.weight", "a.weight_scale_inv"], "block-scaled fp8"),
            (["a.qweight", "a.wscales", "a.smooth_factor"], "Nunchaku"),
            (["a.qweight", "a.qzeros", "a.scales", "a.g_idx"], "GPTQ"),
            (["a.qweight", "a.qzeros", "a.scales"], "GPTQ or AWQ"),
            (["a.weight", "a.weight.absmax", "a.weight.quant_map"], "bitsandbytes"),
            (["a.weight", "a.SCB"], "bitsandbytes"), (["a.weight._data"], "quanto"),
            (["a.weight_packed", "a.weight_shape"], "compressed-tensors"),
            (["a.encoded_exponent", "a.sign_mantissa"], "DFloat11"),
            (["a.weight", "a.scales", "a.biases"], "MLX"),
        ])
    func tensors(names: [String], format: String) throws {
        let entries = names.enumerated().map { index, name in
            "\"\(name)\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[\(4 * index),\(4 * index + 4)]}"
        }
        try folder.write(
            safetensors("{\(entries.joined(separator: ","))}", dataBytes: 4 * names.count),
            to: "model.safetensors")
        check(try failure { try TensorStore(folder: folder.url) }, names: format)
        // The same file given as a model, or in a folder of files.
        let file = folder.url.appending(path: "model.safetensors")
        check(try failure { try ModelDirectory(url: file) }, names: format)
        check(try failure { try ModelDirectory(url: folder.url) }, names: format)
    }

    @Test("a pipeline with Nunchaku's transformer") func pipeline() throws {
        let url = try folder.write(
            """
            {"_class_name": "ZImagePipeline",
             "transformer": ["nunchaku", "NunchakuZImageTransformer2DModel"]}
            """, to: "model_index.json")
        check(try failure { try ModelIndex(contentsOf: url) }, names: "Nunchaku")
    }

    @Test("names that look similar are not quantised") func plain() throws {
        let entries = ["norm.scale", "a.weight", "b.bias"].enumerated().map { index, name in
            "\"\(name)\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[\(4 * index),\(4 * index + 4)]}"
        }
        try folder.write(
            safetensors("{\(entries.joined(separator: ","))}", dataBytes: 12),
            to: "model.safetensors")
        #expect(try TensorStore(folder: folder.url).names.count == 3)
    }
}
