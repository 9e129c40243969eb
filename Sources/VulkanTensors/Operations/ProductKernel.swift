// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// The kernel of a product or a convolution: its shader and the part of the result that a workgroup computes.
struct ProductKernel {
    /// What is multiplied, and what becomes of the sums.
    enum Form: Hashable, CaseIterable {
        /// Rows by a matrix.
        case plain
        /// Rows by a matrix of alternating rows, then SwiGLU.
        case gated
        /// An image by a matrix of taps.
        case convolution
    }

    /// What decides the kernel on a device.
    struct Choice: Hashable {
        let form: Form
        let precision: Precision
        let height: MatrixTiling.Height
    }

    let kernel: Kernel
    let tileRows: Int
    let tileColumns: Int
    /// Whether it has matrix instructions.
    let usesMatrices: Bool

    /// The fastest kernel for a device.
    init(_ choice: Choice, on device: DeviceFacts, _ use: MatrixUse) {
        let source = choice.form == .convolution ? "convolution" : "product"
        let suffix = choice.form == .gated ? "_gated" : ""
        let numbers =
            switch choice.precision {
            case .f32: "f32"
            case .bf16: "f16"
            case .int8: "int8"
            }
        guard let tiling = MatrixTiling(choice.precision, choice.height, on: device, use) else {
            let dot = choice.precision == .int8 ? "_dot" : ""
            kernel = Kernel("\(source)_\(numbers)\(dot)\(suffix)")
            (tileRows, tileColumns) = (64, 64)
            usesMatrices = false
            self.numbers = choice.precision == .int8 ? .int8 : .f32
            return
        }
        kernel = Kernel(
            "\(source)_\(numbers)_matrix\(suffix)", constants: tiling.constants,
            subgroupSize: tiling.subgroup)
        (tileRows, tileColumns) = (tiling.rows, tiling.columns)
        usesMatrices = true
        self.numbers = choice.precision == .int8 ? .int8 : .f16
    }

    /// What it multiplies; f16 without matrix instructions is multiplied as f32.
    private let numbers: KernelWork.Numbers

    /// The multiply-adds of a product of `rows` rows, without padding.
    func work(rows: Int, _ weights: VulkanWeights) -> KernelWork {
        KernelWork(numbers, operations: 2 * rows * weights.rows * weights.depth * weights.taps)
    }

    /// The grid for a result.
    func groups(rows: Int, columns: Int) -> (x: Int, y: Int, z: Int) {
        let (across, down) = (
            (columns + tileColumns - 1) / tileColumns, (rows + tileRows - 1) / tileRows
        )
        // A side has at least 65535 groups on every device.
        let layers = (down + 32767) / 32768
        return (across, layers == 0 ? 0 : (down + layers - 1) / layers, layers)
    }
}

/// The factors, the summands and the target of a product or a convolution.
struct ProductArguments {
    let a: VulkanOperand
    var weights: VulkanWeights
    /// Rows of the result.
    let rows: Int
    /// The row of `a` that the first row of a product belongs to.
    var firstRow = 0
    var hasBias = true
    /// Is added, `[rows, weights.rows]`; may be the target.
    var residual: DeviceBuffer?
    var residualOffset = 0
    /// Is added before activations, `[rows, weights.rows]`.
    var addend: DeviceBuffer?
    let target: DeviceBuffer
    /// Bytes before the first row of the result.
    var targetOffset = 0
    /// Numbers from one row of the result to the next.
    let stride: Int

    private var bias: DeviceBuffer? { hasBias ? weights.bias : nil }

    /// What the shaders of `product.glsl` have in common.
    var push: PushBytes {
        var push = PushBytes()
        push.add(a.buffer, at: a.offset(ofRow: firstRow))
        push.add(weights.buffer)
        if let scales = a.scales {
            push.add(scales, at: firstRow * 4)
            push.add(weights.scales)
        }
        push.add(bias)
        push.add(residual, at: residualOffset)
        push.add(addend)
        push.add(target, at: targetOffset)
        push.add(rows)
        push.add(weights.rows)
        push.add(weights.stride)
        push.add(a.stride)
        push.add(weights.stride)
        push.add(stride)
        // The residual and the addend are as wide as the sums.
        push.add(weights.rows)
        push.add(weights.rows)
        push.add(weights.rows)
        return push
    }

    /// All memory that is read.
    var reads: [DeviceBuffer?] {
        [a.buffer, a.scales, weights.buffer, weights.scales, bias, residual, addend]
    }
}
