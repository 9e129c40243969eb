// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// Tables of the values of small floating-point formats.
enum SmallFloats {
    /// F8_E4M3: bias 7, no infinity, 0x7F and 0xFF are NaN, largest 448.
    static let e4m3: [Float] = (0..<256).map { bits in
        let exponent = bits >> 3 & 15
        let fraction = Float(bits & 7)
        let magnitude: Float =
            if bits & 0x7F == 0x7F {
                .nan
            } else if exponent == 0 {
                fraction * 0x1p-9
            } else {
                power(exponent - 7) * (1 + fraction / 8)
            }
        return bits & 0x80 == 0 ? magnitude : -magnitude
    }

    /// F8_E5M2: the upper byte of a binary16.
    static let e5m2: [Float] = (0..<256).map { Float(halfBits: UInt16($0) << 8) }

    /// F8_E8M0: powers of two; 255 is NaN.
    static let e8m0: [Float] = (0..<256).map { bits in
        // 2^-127 is below the normal numbers, but exact.
        bits == 255 ? .nan : bits == 0 ? 0x1p-127 : power(bits - 127)
    }

    /// E2M1, the four bits of NVFP4: the upper one is the sign.
    static let e2m1: [Float] = {
        let magnitudes: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
        return magnitudes + magnitudes.map { -$0 }
    }()

    /// Table of a type with one byte a number, or `nil`.
    static func table(_ dtype: DType) -> [Float]? {
        switch dtype {
        case .f8E4M3: e4m3
        case .f8E5M2: e5m2
        case .i8: (0..<256).map { Float(Int8(truncatingIfNeeded: $0)) }
        default: nil
        }
    }

    private static func power(_ exponent: Int) -> Float {
        Float(bitPattern: UInt32(exponent + 127) << 23)
    }
}
