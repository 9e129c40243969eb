// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// The number formats of GGUF files, with the identifiers of the file format.
///
/// - Source: ggml, `ggml.h`, `enum ggml_type`.
enum BlockFormat: UInt32, CaseIterable {
    case f32 = 0
    case f16 = 1
    case q4_0 = 2
    case q4_1 = 3
    case q5_0 = 6
    case q5_1 = 7
    case q8_0 = 8
    case q2K = 10
    case q3K = 11
    case q4K = 12
    case q5K = 13
    case q6K = 14
    case iq4NL = 20
    case iq4XS = 23
    case f64 = 28
    case bf16 = 30

    /// Names of unsupported formats, for messages.
    static let foreign: [UInt32: String] = [
        9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
        21: "IQ3_S", 22: "IQ2_S", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 29: "IQ1_M",
        34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
    ]

    /// The format's own name.
    var name: String {
        switch self {
        case .f32: "F32"
        case .f16: "F16"
        case .q4_0: "Q4_0"
        case .q4_1: "Q4_1"
        case .q5_0: "Q5_0"
        case .q5_1: "Q5_1"
        case .q8_0: "Q8_0"
        case .q2K: "Q2_K"
        case .q3K: "Q3_K"
        case .q4K: "Q4_K"
        case .q5K: "Q5_K"
        case .q6K: "Q6_K"
        case .iq4NL: "IQ4_NL"
        case .iq4XS: "IQ4_XS"
        case .f64: "F64"
        case .bf16: "BF16"
        }
    }

    /// The type of formats that store numbers one by one.
    var dtype: DType? {
        switch self {
        case .f32: .f32
        case .f16: .f16
        case .bf16: .bf16
        case .f64: .f64
        default: nil
        }
    }

    /// Number of values in a block.
    var numbers: Int {
        switch self {
        case .f32, .f16, .bf16, .f64: 1
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .iq4NL: 32
        case .q2K, .q3K, .q4K, .q5K, .q6K, .iq4XS: 256
        }
    }

    /// Bytes of a block.
    var bytes: Int {
        switch self {
        case .f16, .bf16: 2
        case .f32: 4
        case .f64: 8
        case .q4_0, .iq4NL: 18
        case .q4_1: 20
        case .q5_0: 22
        case .q5_1: 24
        case .q8_0: 34
        case .q2K: 84
        case .q3K: 110
        case .q4K: 144
        case .q5K: 176
        case .q6K: 210
        case .iq4XS: 136
        }
    }
}
