// Part of Inkstone. Licence: see LICENSE.

/// Returns a / b correctly rounded to nearest, ties to even, as on a CPU; the operator may differ
/// by 2.5 ulp. For positive numbers whose quotient is normal; otherwise the operator's result.
float divided(float a, float b) {
    const uint bitsA = floatBitsToUint(a), bitsB = floatBitsToUint(b);
    const int exponentA = int(bitsA >> 23), exponentB = int(bitsB >> 23);
    int exponent = exponentA - exponentB + 127;
    if (exponentA < 1 || exponentA > 254 || exponentB < 1 || exponentB > 254 || exponent < 2 ||
        exponent > 253)
        return a / b;
    uint remainder = bitsA & 0x7fffffu | 0x800000u;
    const uint divisor = bitsB & 0x7fffffu | 0x800000u;
    if (remainder < divisor) {
        remainder <<= 1;
        exponent -= 1;
    }
    // 24 bits of the quotient, and one that decides the rounding.
    uint quotient = 0;
    for (uint i = 0; i < 25; ++i) {
        quotient <<= 1;
        if (remainder >= divisor) {
            remainder -= divisor;
            quotient |= 1;
        }
        remainder <<= 1;
    }
    const uint rounded =
        (quotient >> 1) + (quotient & 1 & (remainder != 0 ? 1 : quotient >> 1 & 1));
    return uintBitsToFloat((uint(exponent) << 23) + rounded - 0x800000u);
}
