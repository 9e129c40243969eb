// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// Short runs of a row with a scale each, stored in tiles of 128 rows and 4 runs: NVFP4 and MXFP8.
///
/// - Source: ComfyUI, `comfy/quant_ops.py`; the tiles are those of cuBLAS.
struct TiledScaleCoding: TensorCoding {
    /// Which of the two formats.
    enum Format: String {
        /// Two numbers per byte, the even column in the upper half; runs of 16, scales in E4M3.
        case nvfp4 = "NVFP4"
        /// One byte per number in E4M3; runs of 32, scales in E8M0.
        case mxfp8 = "MXFP8"

        /// Columns that share a scale.
        var run: Int { self == .nvfp4 ? 16 : 32 }
    }

    let format: Format
    /// Columns of a row.
    let unit: Int
    /// The scales' bytes, tiled.
    private let scales: StoredTensor
    /// Factor of all numbers.
    private let factor: Float

    var name: String { format.rawValue }

    /// `scales` has `scaleCount` bytes for the format and shape.
    init(_ format: Format, columns: Int, scales: StoredTensor, factor: Float) {
        self.format = format
        unit = columns
        self.scales = scales
        self.factor = factor
    }

    /// Number of bytes of the scales, padded to whole tiles.
    static func scaleCount(_ format: Format, rows: Int, columns: Int) -> Int {
        let runs = (columns + format.run - 1) / format.run
        return (rows + 127) / 128 * ((runs + 3) / 4) * 512
    }

    func decode(
        _ bytes: UnsafeRawBufferPointer, units: Range<Int>,
        into numbers: UnsafeMutablePointer<Float>
    ) {
        let run = format.run
        let tiles = ((unit + run - 1) / run + 3) / 4
        let scaleTable = format == .nvfp4 ? SmallFloats.e4m3 : SmallFloats.e8m0
        for row in units {
            let target = numbers + (row - units.lowerBound) * unit
            for column in stride(from: 0, to: unit, by: run) {
                let index = column / run
                let place =
                    ((row / 128) * tiles + index / 4) * 512 + (row % 32) * 16
                    + ((row % 128) / 32) * 4 + index % 4
                let scale = scaleTable[Int(scales.bytes[place])] * factor
                for element in column..<min(column + run, unit) {
                    let at = row * unit + element
                    let number =
                        format == .mxfp8
                        ? SmallFloats.e4m3[Int(bytes[at])]
                        : SmallFloats.e2m1[Int(bytes[at / 2] >> (at % 2 == 0 ? 4 : 0) & 15)]
                    target[element] = number * scale
                }
            }
        }
    }
}
