// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

/// The precision that `auto` selects.
@Suite("The best precision")
struct PrecisionTests {
    private static let small = 1_000_000_000

    @Test(
        "int8 for large models if supported by the CPU, else bf16, else f32",
        arguments: [
            (small + 1, true, true, Precision.int8), (small + 1, true, false, .int8),
            (small + 1, false, true, .bf16), (small + 1, false, false, .f32),
            (small, true, true, .bf16), (small, true, false, .f32),
            (small, false, true, .bf16), (small, false, false, .f32),
        ])
    func rule(_ parameters: Int, _ int8: Bool, _ bf16: Bool, _ expected: Precision) {
        let got = CPUBackend.bestPrecision(parameters: parameters, hasInt8: int8, hasBF16: bf16)
        #expect(got == expected)
    }

    @Test("the variants of this CPU are listed fastest first")
    func variants() throws {
        let known = [
            "avx512bf16", "avx512vnni", "avx512", "avxvnni", "avx2",  // x86-64
            "neonbf16", "neoni8mm", "neondot", "neon",  // aarch64
            "portable",
        ]
        let names = CPUBackend.availableKernels
        #expect(names == known.filter(names.contains) && names.last == "portable")
        #expect(try CPUBackend(precision: .f32, threads: 1).kernelsName == names[0])
        #expect(throws: BackendError.self) {
            try CPUBackend(precision: .f32, threads: 1, kernels: "avx")
        }
    }

    // Files of packed weights that exist contain these names.
    @Test("layouts keep their stored names")
    func layouts() {
        #expect(MatrixSource.Layout.stacked.rawValue == "stacked")
        #expect(MatrixSource.Layout.gated.rawValue == "gated")
        #expect(MatrixSource.Layout.winograd3x3.rawValue == "dense")
    }

    @Test("defaults to the instructions of this CPU")
    func here() {
        #expect(
            CPUBackend.bestPrecision(parameters: .max)
                == CPUBackend.bestPrecision(
                    parameters: .max, hasInt8: CPUBackend.hasNativeInt8,
                    hasBF16: CPUBackend.hasNativeBF16))
        let names = CPUBackend.availableKernels
        #expect(CPUBackend.hasNativeInt8 == names[0].contains(/bf16|vnni|i8mm|dot/))
        #expect(CPUBackend.hasNativeBF16 == names[0].contains("bf16"))
    }
}
