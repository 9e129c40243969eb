// Part of Inkstone. Licence: see LICENSE.
//
// Conversion to f16 with rounding to nearest, ties to even: the rounding of the built-in
// conversions is the device's choice.

/// Returns the bits of an f16. Magnitudes must round to less than 2^16; infinity and NaN are kept.
uint halfOf(float x) {
    const uint bits = floatBitsToUint(x), magnitude = bits & 0x7fffffffu,
               sign = bits >> 16 & 0x8000u;
    if (magnitude >= 0x7f800000u) return sign | (magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u);
    // 2^-14: below it, f16 are multiples of 2^-24, the distance of f32 between 0.5 and 1.
    if (magnitude < 0x38800000u)
        return sign | floatBitsToUint(uintBitsToFloat(magnitude) + 0.5) - 0x3f000000u;
    return sign | (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
}

/// Returns the bits of two adjacent f16, the first in the low half.
uint halvesOf(float first, float second) { return halfOf(first) | halfOf(second) << 16; }

/// Returns the power of two that brings a largest magnitude, given by its bits, into [2^14, 2^15).
/// The result and its inverse are normal numbers.
float halfScale(uint largest) {
    const uint exponent = clamp(largest >> 23, 27u, 254u);
    return uintBitsToFloat((268u - exponent) << 23);
}

/// Returns the inverse of a power of two, exactly.
float inverseOfPower(float x) { return uintBitsToFloat(0x7f000000u - floatBitsToUint(x)); }

/// Returns the power of two for a head with the given largest magnitude; 1 where it was not
/// computed.
float headScale(uint largest) { return largest == 0 ? 1.0 : halfScale(largest); }
