// Part of Inkstone. Licence: see LICENSE.
//
// Activation functions.

float silu(float x) { return x / (exp(-x) + 1.0); }

/// Negative values become 0. NaN propagates, which max() does not guarantee: the bits of numbers
/// below zero, including negative infinity, are between those of -0 and of the first negative NaN.
float relu(float x) {
    const uint bits = floatBitsToUint(x);
    return bits > 0x80000000u && bits <= 0xff800000u ? 0.0 : x;
}

/// Hyperbolic tangent with a relative error of a few ulp; the built-in may overflow or cancel.
/// Source of the polynomial: S. Moshier, Cephes, single/tanhf.c.
float accurateTanh(float x) {
    const float magnitude = abs(x);
    if (magnitude < 0.625) {
        const float z = x * x;
        float y = -5.70498872745e-3;
        y = y * z + 2.06390887954e-2;
        y = y * z - 5.37397155531e-2;
        y = y * z + 1.33314422036e-1;
        y = y * z - 3.33332819422e-1;
        return y * z * x + x;
    }
    const float y = 1.0 - 2.0 / (exp(2.0 * min(magnitude, 20.0)) + 1.0);
    return isFinite(x) ? (x < 0.0 ? -y : y) : (magnitude > 1.0 ? sign(x) : x);
}
