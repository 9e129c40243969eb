// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing

/// The precision that `auto` selects.
@Suite("The best precision")
struct PrecisionTests {
    private static let small = 1_000_000_000

    @Test(
        "int8 for large models, else bf16 if supported by the CPU, else f32",
        arguments: [
            (small + 1, true, Precision.int8), (small + 1, false, .int8),
            (small, true, .bf16), (small, false, .f32),
        ])
    func rule(_ parameters: Int, _ bf16: Bool, _ expected: Precision) {
        let got = CPUBackend.bestPrecision(parameters: parameters, hasBF16: bf16)
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
        #expect(
            try CPUBackend(precision: .f32, threads: 1).kernelsName == CPUBackend.defaultKernels)
        #expect(names.contains(CPUBackend.defaultKernels))
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

    @Test("defaults to the instructions of the kernels in use")
    func here() {
        #expect(
            CPUBackend.bestPrecision(parameters: 0)
                == CPUBackend.bestPrecision(
                    parameters: 0, hasBF16: CPUBackend.hasNativeBF16))
        #expect(CPUBackend.hasNativeBF16 == CPUBackend.defaultKernels.contains("bf16"))
    }
}
