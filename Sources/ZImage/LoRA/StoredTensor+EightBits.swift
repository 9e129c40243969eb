// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension StoredTensor {
    /// Returns all numbers as f32, including those of the two 8-bit types.
    ///
    /// - Throws: `CheckpointError` for a type that LoRA files do not use.
    func allFloats() throws(CheckpointError) -> [Float] {
        switch dtype {
        case .f8E4M3: bytes.map { Float(bits: $0, fraction: 3, bias: 7) }
        case .f8E5M2: bytes.map { Float(bits: $0, fraction: 2, bias: 15) }
        default: try floats()
        }
    }
}

extension Float {
    /// Decodes a sign, an exponent and `fraction` bits of mantissa.
    ///
    /// With 3 bits there is no infinity and one NaN; with 2 they are as in IEEE 754.
    fileprivate init(bits: UInt8, fraction: Int32, bias: Int32) {
        let width = 1 << fraction
        let (exponent, rest) = (Int32(bits & 0x7F) >> fraction, Int(bits) & (width - 1))
        let top = fraction == 3 ? 15 : 31
        var magnitude: Float
        if exponent == top, fraction == 2 || rest == width - 1 {
            magnitude = rest == 0 ? .infinity : .nan
        } else if exponent == 0 {
            magnitude = ldexpf(Float(rest), 1 - bias - fraction)
        } else {
            magnitude = ldexpf(Float(width + rest), exponent - bias - fraction)
        }
        if bits & 0x80 != 0 { magnitude = -magnitude }
        self = magnitude
    }
}
