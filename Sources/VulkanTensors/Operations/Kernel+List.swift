// Part of Inkstone. Licence: see LICENSE.

import Tensors

extension Kernel {
    /// Returns every kernel that the backend may use on a device, for what its compiler reports of them.
    ///
    /// - Parameters:
    ///   - device: The device.
    ///   - matrices: Use of its matrix instructions.
    ///   - headDims: Widths of attention heads.
    /// - Returns: The kernels, each once.
    package static func all(
        on device: DeviceFacts, _ matrices: MatrixUse = .automatic, headDims: [Int]
    ) -> [Kernel] {
        var kernels = rowKernels.map { Kernel($0) }
        kernels += VulkanBackend.Elementwise.allCases.map {
            Kernel("elementwise", constants: [$0.rawValue])
        }
        kernels += [0, 1].map { Kernel("finish", constants: [$0]) }
        for use in [matrices, .never] {
            kernels += products(on: device, use)
        }
        for width in headDims {
            kernels.append(AttentionKernel.plain(headDim: width))
            if let matrix = AttentionKernel(headDim: width, on: device, matrices) {
                kernels.append(matrix.kernel)
            }
        }
        var known: Set<Kernel> = []
        return kernels.filter { known.insert($0).inserted }
    }

    /// Shaders without constants.
    private static let rowKernels = [
        "adapt", "add_norm", "add_rows", "group_apply_f16", "group_apply_f32", "group_factors",
        "group_stats", "head_largest", "head_norm", "largest", "norm_f16", "norm_f32", "norm_int8",
        "operand_f16",
        "operand_f32", "operand_int8", "prepare",
    ]

    private static func products(on device: DeviceFacts, _ use: MatrixUse) -> [Kernel] {
        var kernels: [Kernel] = []
        for form in ProductKernel.Form.allCases {
            for precision in Precision.allCases where form != .convolution || precision != .int8 {
                for height in MatrixTiling.Height.allCases {
                    let choice = ProductKernel.Choice(
                        form: form, precision: precision, height: height)
                    kernels.append(ProductKernel(choice, on: device, use).kernel)
                }
            }
        }
        return kernels
    }
}
