// Part of Inkstone. Licence: see LICENSE.
//
// Writes rows of an int8 operand. A row is padded with zeros to a multiple of 32, rotated in groups
// by a Hadamard matrix, and divided by its largest magnitude over 127, in the order of additions
// and with the rounding of Sources/CKernels/template/int8.h: the bytes and scales are those of the
// CPU for the same values. The including shader defines THREADS as 256, and `float valueAt(uint
// column)` of its current row.
//
// A thread has 16 numbers of a block of 4096: adjacent ones for distances up to 8, then those 16
// apart for larger ones; shared memory exchanges them.
#include "divide.glsl"
#include "reduce.glsl"

layout(buffer_reference, scalar, buffer_reference_align = 16) writeonly buffer Rows { uvec4 at[]; };

const uint OWN = 16, BLOCK = OWN * THREADS;
shared float exchange[BLOCK + BLOCK / OWN];  // one number more every 16, against bank conflicts
shared vec2 factors;                         // that quantises, that restores

/// Returns the numbers that are rotated together: the largest power of two up to 256 that divides
/// `padded`.
uint rotationGroup(uint padded) { return min(256u, padded & (~padded + 1)); }

/// Rotates block `base` of the current row and returns this thread's 16 adjacent numbers. Must be
/// called by all threads.
void rotateBlock(uint base, uint columns, uint group, out float numbers[OWN]) {
    const uint thread = gl_LocalInvocationIndex, adjacent = thread * (OWN + 1);
    const uint apart = thread / OWN * (OWN * (OWN + 1)) + thread % OWN;
    barrier();  // an earlier block has been read
    for (uint i = thread; i < BLOCK; i += THREADS)
        exchange[i + i / OWN] = base + i < columns ? valueAt(base + i) : 0.0;
    barrier();
    precise float x[OWN];
    [[unroll]] for (uint j = 0; j < OWN; ++j)
        x[j] = exchange[adjacent + j];
    [[unroll]] for (uint distance = 1; distance < OWN; distance *= 2)
        [[unroll]] for (uint j = 0; j < OWN; ++j)
            if ((j & distance) == 0) {
                const float a = x[j], b = x[j + distance];
                x[j] = a + b;
                x[j + distance] = a - b;
            }
    [[unroll]] for (uint j = 0; j < OWN; ++j)
        exchange[adjacent + j] = x[j];
    barrier();
    [[unroll]] for (uint j = 0; j < OWN; ++j)
        x[j] = exchange[apart + j * (OWN + 1)];
    [[unroll]] for (uint distance = 1; distance < OWN; distance *= 2)
        if (OWN * distance < group)
            [[unroll]] for (uint j = 0; j < OWN; ++j)
                if ((j & distance) == 0) {
                    const float a = x[j], b = x[j + distance];
                    x[j] = a + b;
                    x[j + distance] = a - b;
                }
    [[unroll]] for (uint j = 0; j < OWN; ++j)
        exchange[apart + j * (OWN + 1)] = x[j];
    barrier();
    [[unroll]] for (uint j = 0; j < OWN; ++j)
        numbers[j] = exchange[adjacent + j];
}

/// Computes the factors from the bits of the largest magnitude, in which infinity is above all
/// numbers and NaN above infinity.
void setFactors(uint bits, uint group) {
    const float largest = uintBitsToFloat(bits);
    const bool isPositive = bits > 0 && bits <= 0x7f800000u;
    const float root = group == 256   ? 16.0
                       : group == 128 ? 11.3137085
                       : group == 64  ? 8.0
                                      : 5.65685425;
    factors =
        vec2(isPositive ? divided(127.0, largest) : 0.0, divided(divided(largest, 127.0), root));
}

/// Returns four bytes of numbers times `inverse`.
uint quantised(float a, float b, float c, float d, float inverse) {
    // Adding 1.5 * 2^23 rounds to an integer, in the low bits.
    precise vec4 scaled = vec4(a, b, c, d) * inverse;
    precise vec4 shifted = scaled + 12582912.0;
    const uvec4 bytes = floatBitsToUint(shifted) & 255u;
    return bytes.x | bytes.y << 8 | bytes.z << 16 | bytes.w << 24;
}

/// Writes `columns` values and zeros up to `stride`, a multiple of 32, if `isInside`. Must be
/// called by all threads.
void writeRow(Rows rows, uvec2 scales, uint row, uint columns, uint stride, bool isInside) {
    const uint thread = gl_LocalInvocationIndex, padded = (columns + 31) / 32 * 32;
    const uint group = rotationGroup(padded);
    float x[OWN];
    uint largest = 0;
    for (uint base = 0; base < padded; base += BLOCK) {
        rotateBlock(base, columns, group, x);
        [[unroll]] for (uint j = 0; j < OWN; ++j)
            largest = max(largest, floatBitsToUint(x[j]) & 0x7fffffffu);
    }
    largest = maxOfGroup(largest);
    if (thread == 0) setFactors(largest, group);
    barrier();
    const float inverse = factors.x;
    for (uint base = 0; base < stride; base += BLOCK) {
        // A row of one block is still in registers.
        if (stride > BLOCK) rotateBlock(base, columns, group, x);
        const uint at = base + thread * OWN;
        if (!isInside || at >= stride) continue;
        uvec4 bytes;
        [[unroll]] for (uint j = 0; j < 4; ++j)
            bytes[j] = quantised(x[4 * j], x[4 * j + 1], x[4 * j + 2], x[4 * j + 3], inverse);
        rows.at[(row * stride + at) / OWN] = bytes;
    }
    if (isInside && thread == 0) MutableFloats(scales).at[row] = factors.y;
}
