// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// One byte per number, with one scale or one per row: fp8 and int8.
struct ByteCoding: TensorCoding {
    let name: String
    /// Columns of a row.
    let unit: Int
    /// The value of each byte.
    private let table: [Float]
    /// One factor, or one for each row.
    private let scales: [Float]
    /// Number of adjacent columns that were rotated together; 1 without rotation.
    private let rotation: Int

    /// Rows of `columns` bytes, with one scale or one for each row.
    ///
    /// `rotation` is 1, or a power of 4 that divides `columns`.
    init(dtype: DType, columns: Int, scales: [Float], rotation: Int = 1) {
        precondition(!scales.isEmpty && columns.isMultiple(of: rotation), "byte coding")
        name = rotation > 1 ? "\(dtype), rotated" : dtype.rawValue
        unit = columns
        table = SmallFloats.table(dtype) ?? []
        self.scales = scales
        self.rotation = rotation
    }

    func decode(
        _ bytes: UnsafeRawBufferPointer, units: Range<Int>,
        into numbers: UnsafeMutablePointer<Float>
    ) {
        table.withUnsafeBufferPointer { table in
            for row in units {
                let scale = scales.count == 1 ? scales[0] : scales[row]
                let target = numbers + (row - units.lowerBound) * unit
                let start = row * unit
                for column in 0..<unit {
                    target[column] = table[Int(bytes[start + column])] * scale
                }
                if rotation > 1 {
                    for group in stride(from: 0, to: unit, by: rotation) {
                        Self.rotate(target + group, count: rotation)
                    }
                }
            }
        }
    }

    /// Multiplies by the Kronecker power of a 4 x 4 Hadamard matrix, which is its own inverse.
    ///
    /// The matrix is half of `[1 1 1 -1; 1 1 -1 1; 1 -1 1 1; -1 1 1 1]`.
    ///
    /// - Source: ComfyUI, `comfy/quant_ops.py`, the format `int8_tensorwise` with `convrot`.
    static func rotate(_ numbers: UnsafeMutablePointer<Float>, count: Int) {
        var step = 1
        while step < count {
            for base in stride(from: 0, to: count, by: 4 * step) {
                for offset in base..<(base + step) {
                    let (a, b) = (numbers[offset], numbers[offset + step])
                    let (c, d) = (numbers[offset + 2 * step], numbers[offset + 3 * step])
                    numbers[offset] = (a + b + c - d) / 2
                    numbers[offset + step] = (a + b - c + d) / 2
                    numbers[offset + 2 * step] = (a - b + c + d) / 2
                    numbers[offset + 3 * step] = (b - a + c + d) / 2
                }
            }
            step *= 4
        }
    }
}
