// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// The kernel of a product or a convolution: its shader and the part of the result that a workgroup computes.
struct ProductKernel {
    /// What is multiplied, and what becomes of the sums.
    enum Form: Hashable {
        /// Rows by a matrix.
        case plain
        /// Rows by a matrix of alternating rows, then SwiGLU.
        case gated
        /// An image by a matrix of taps.
        case convolution
    }

    let kernel: Kernel
    let tileRows: Int
    let tileColumns: Int
    /// Whether it has matrix instructions.
    let usesMatrices: Bool

    /// The fastest kernel for a device.
    init(_ form: Form, precision: Precision, on device: DeviceFacts, _ use: MatrixUse) {
        let source = form == .convolution ? "convolution" : "product"
        let suffix = form == .gated ? "_gated" : ""
        let numbers =
            switch precision {
            case .f32: "f32"
            case .bf16: "f16"
            case .int8: "int8"
            }
        guard let tiling = MatrixTiling(precision, on: device, use) else {
            let dot = precision == .int8 ? "_dot" : ""
            kernel = Kernel("\(source)_\(numbers)\(dot)\(suffix)")
            (tileRows, tileColumns) = (64, 64)
            usesMatrices = false
            return
        }
        kernel = Kernel(
            "\(source)_\(numbers)_matrix\(suffix)", constants: tiling.constants,
            subgroupSize: tiling.subgroup)
        (tileRows, tileColumns) = (tiling.rows, tiling.columns)
        usesMatrices = true
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

/// Sizes of a product with matrix instructions: of a workgroup, of a subgroup, and of a fragment.
struct MatrixTiling {
    let subgroup: Int
    let rows: Int
    let columns: Int
    private let depth: Int
    private let warp: (rows: Int, columns: Int)
    private let fragment: MatrixShape

    /// The sizes for a device; `nil` if it has no instructions for the precision.
    init?(_ precision: Precision, on device: DeviceFacts, _ use: MatrixUse) {
        guard precision != .f32, let fragment = Self.fragment(precision, on: device, use) else {
            return nil
        }
        self.fragment = fragment
        subgroup = device.subgroupSize
        // Two depths of the longest fragment: 64 bytes of a row.
        depth = precision == .int8 ? 64 : 32
        if device.isSoftware {
            (rows, columns, warp) = (64, 64, (32, 32))
        } else {
            (rows, columns, warp) = (128, 128, (64, 32))
        }
        let units = precision == .int8 ? 16 : 8
        let warps = rows / warp.rows * (columns / warp.columns)
        let bytes =
            16 * (rows + columns) * (depth / units + 1) + 4 * warps * fragment.m * fragment.n
        guard bytes <= device.sharedMemoryBytes, warps * subgroup <= device.workgroupThreads,
            depth.isMultiple(of: fragment.k), warp.rows.isMultiple(of: fragment.m),
            warp.columns.isMultiple(of: fragment.n), fragment.n.isMultiple(of: 2)
        else { return nil }
    }

    /// The fragment of a precision with the most multiply-adds; `nil` if matrices are not used.
    static func fragment(
        _ precision: Precision, on device: DeviceFacts, _ use: MatrixUse
    ) -> MatrixShape? {
        switch use {
        case .never: return nil
        case .fragments(let int8, let f16): return precision == .int8 ? int8 : f16
        case .automatic: if device.isSoftware { return nil }
        }
        let (factor, sum): (MatrixShape.Element, MatrixShape.Element) =
            precision == .int8 ? (.s8, .s32) : (.f16, .f32)
        // Rows are loaded 16 bytes at a time.
        let unit = precision == .int8 ? 16 : 8
        return device.matrixShapes.filter {
            $0.a == factor && $0.b == factor && $0.c == sum && $0.result == sum
                && $0.k.isMultiple(of: unit)
        }.max { ($0.m * $0.n * $0.k, $0.k) < ($1.m * $1.n * $1.k, $1.k) }
    }

    /// The shader's constants.
    var constants: [UInt32] {
        let threads = subgroup * (rows / warp.rows) * (columns / warp.columns)
        return [
            threads, subgroup, rows, columns, depth, warp.rows, warp.columns, fragment.m,
            fragment.n,
            fragment.k,
        ].map(UInt32.init)
    }
}
