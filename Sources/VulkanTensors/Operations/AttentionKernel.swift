// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// The kernel of attention with matrix instructions, and the queries that a workgroup computes.
struct AttentionKernel {
    /// Keys that a workgroup reads at a time.
    private static let keys = 32
    /// Most features of a head: a subgroup holds the queries and the sums of a fragment in registers.
    private static let widestHead = 192

    let kernel: Kernel
    /// Queries of a workgroup, which reads as many rows, also past the last token.
    let queries: Int

    /// The kernel for heads of a width; `nil` if the device, or its kernels, have no such.
    init?(headDim: Int, on device: DeviceFacts, _ use: MatrixUse) {
        let (keys, subgroup) = (Self.keys, MatrixTiling.subgroup(of: device))
        guard headDim <= Self.widestHead,
            let fragment = MatrixTiling.fragment(.bf16, on: device, use),
            headDim.isMultiple(of: fragment.k), headDim.isMultiple(of: fragment.n),
            keys.isMultiple(of: fragment.k), keys.isMultiple(of: fragment.n),
            max(subgroup, fragment.m).isMultiple(of: min(subgroup, fragment.m))
        else { return nil }
        let subgroups = [4, 2, 1].first { subgroups in
            let queries = subgroups * fragment.m
            // Keys or values, scores, weights, and a fragment for each subgroup.
            let bytes =
                2 * keys * (headDim + 8) + 4 * queries * (keys + 4) + 2 * queries * (keys + 8)
                + 4 * queries * fragment.n
            return bytes <= device.sharedMemoryBytes
                && subgroups * subgroup <= device.workgroupThreads
        }
        guard let subgroups else { return nil }
        queries = subgroups * fragment.m
        kernel = Kernel(
            "attention_f16_matrix",
            constants: [
                subgroups * subgroup, subgroup, subgroups, keys, headDim, fragment.m, fragment.n,
                fragment.k,
            ].map(UInt32.init), subgroupSize: subgroup)
    }

    /// The kernel without matrix instructions for heads of a width.
    static func plain(headDim: Int) -> Kernel {
        Kernel(
            headDim.isMultiple(of: 4) ? "attention_f32" : "attention_f32_any",
            constants: [UInt32(headDim)])
    }
}
