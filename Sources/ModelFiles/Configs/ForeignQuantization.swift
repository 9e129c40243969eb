// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// A format of quantised weights that is not read, and how files of it are recognised.
///
/// - Source: `quant_method` of transformers 5 and diffusers 0.40; the tensors that SDNQ, Nunchaku, AutoGPTQ, AutoAWQ,
///   bitsandbytes, quanto, torchao, MLX, compressed-tensors, HQQ, AQLM, ExLlama and DFloat11 write.
struct ForeignQuantization {
    /// The format, as in "a GPTQ checkpoint".
    let name: String

    /// What works instead.
    static let remedy =
        "Use the model in BF16 ('inkstone models pull z-image-turbo'; --precision int8 needs half the memory), a GGUF file"
        + " such as Q4_K_M or Q8_0, or one of ComfyUI's in fp8, int8, MXFP8 or NVFP4."

    /// Formats by their name in `quant_method`, without what is not a letter or digit.
    private static let methods = [
        "sdnq": "SDNQ", "bitsandbytes": "bitsandbytes", "bitsandbytes4bit": "bitsandbytes",
        "bitsandbytes8bit": "bitsandbytes", "gptq": "GPTQ", "awq": "AWQ", "quanto": "quanto",
        "torchao": "torchao", "modelopt": "ModelOpt", "fp8": "block-scaled fp8",
        "fbgemmfp8": "FBGEMM fp8", "compressedtensors": "compressed-tensors", "hqq": "HQQ",
        "aqlm": "AQLM", "eetq": "EETQ", "higgs": "HIGGS", "spqr": "SpQR", "vptq": "VPTQ",
        "quark": "Quark", "bitnet": "BitNet", "mxfp4": "MXFP4", "fpquant": "FP-Quant",
        "autoround": "AutoRound", "intelautoround": "AutoRound", "nunchaku": "Nunchaku",
        "nunchakulite": "Nunchaku", "svdquant": "Nunchaku", "exl2": "ExLlamaV2",
        "exl3": "ExLlamaV3", "gguf": "GGUF in diffusers' folders", "inc": "Neural Compressor",
        "finegrainedfp8": "block-scaled fp8",
    ]

    /// Formats by the ends of tensors' names, the more specific ones first.
    private static let endings: [(String, String)] = [
        (".wscales", "Nunchaku"), (".wtscale", "Nunchaku"), (".smooth_factor", "Nunchaku"),
        (".svd_up", "SDNQ"), (".zero_point", "SDNQ"),
        (".weight_scale_inv", "block-scaled fp8"),
        (".g_idx", "GPTQ"), (".qzeros", "GPTQ or AWQ"), (".qweight", "Nunchaku, GPTQ or AWQ"),
        (".weight.absmax", "bitsandbytes"), (".weight.quant_map", "bitsandbytes"),
        (".SCB", "bitsandbytes"), (".weight_format", "bitsandbytes"),
        (".weight._data", "quanto"), ("._weight_qdata", "torchao"), (".weight:_data", "torchao"),
        (".weight_packed", "compressed-tensors"), (".W_q", "HQQ"), (".codebooks", "AQLM"),
        (".q_weight", "ExLlamaV2"), (".trellis", "ExLlamaV3"), (".sign_mantissa", "DFloat11"),
        (".encoded_exponent", "DFloat11"), ("._amax", "ModelOpt"), (".scales", "MLX"),
    ]

    private init(name: String) { self.name = name }

    /// The format of a checkpoint by the names of its tensors, with the name that shows it.
    init?(tensors names: some Collection<String>, found: inout String) {
        for (ending, name) in Self.endings {
            if let first = names.filter({ $0.hasSuffix(ending) }).min() {
                found = first
                self.init(name: name)
                return
            }
        }
        // SDNQ without a zero point has weights and scales alone.
        let scaled = names.filter { name in
            name.hasSuffix(".scale")
                && names.contains(String(name.dropLast("scale".count)) + "weight")
        }
        guard let first = scaled.min() else { return nil }
        found = first
        self.init(name: "SDNQ")
    }

    /// The format that a component's `config.json` states; `nil` for weights that are not quantised.
    init?(_ reader: ConfigReader) {
        if reader["dfloat11_config"] != nil {
            self.init(name: "DFloat11")
            return
        }
        if case .object(let fields)? = reader["quantization"], fields["group_size"] != nil {
            self.init(name: "MLX")
            return
        }
        guard let value = reader["quantization_config"] else { return nil }
        guard case .object(let fields) = value else {
            self.init(name: value.shown)
            return
        }
        let keys = ["quant_method", "quant_algo", "quant_type", "method"]
        let stated = keys.lazy.compactMap { key -> String? in
            if case .string(let text)? = fields[key] { text } else { nil }
        }.first
        guard let stated else {
            let bits = ["load_in_4bit", "load_in_8bit"].contains { fields[$0] != nil }
            self.init(name: bits ? "bitsandbytes" : "an unknown method")
            return
        }
        // Some versions wrote the name of the enumeration as well.
        let name = stated.split(separator: ".").last.map(String.init) ?? stated
        let plain = name.lowercased().filter { $0.isLetter || $0.isNumber }
        self.init(name: Self.methods[plain] ?? stated.quoted)
    }

    /// The format by the class of a component in `model_index.json`, such as `NunchakuZImageTransformer2DModel`.
    init?(className: String) {
        guard className.hasPrefix("Nunchaku") else { return nil }
        self.init(name: "Nunchaku")
    }

    /// Describes a checkpoint that is not read.
    ///
    /// - Parameters:
    ///   - source: the file, in quotes.
    ///   - reason: what shows the format, as a clause.
    /// - Returns: the error, of code `unsupported`.
    func error(_ source: String, _ reason: String) -> CheckpointError {
        CheckpointError(
            code: .unsupported,
            message:
                "\(source): these weights are quantised with \(name) (\(reason)), which is not supported.",
            remedy: Self.remedy)
    }
}

extension ConfigReader {
    /// Refuses a component whose weights are quantised in a format that is not read.
    ///
    /// - Throws: `CheckpointError` of code `unsupported` that names the format.
    func refuseQuantized() throws(CheckpointError) {
        if let format = ForeignQuantization(self) {
            throw format.error(source, "by its quantization_config")
        }
    }
}
