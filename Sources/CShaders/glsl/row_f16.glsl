// Part of Inkstone. Licence: see LICENSE.
//
// Writes rows of an f16 operand, each times a power of two that brings its largest magnitude into
// [2^14, 2^15): nothing overflows, and the rounding error is at most 2^-11 of each number that is
// not 2^-28 times smaller. The inverse of the power is the row's scale. The including shader
// defines THREADS, and `float valueAt(uint column)` of its current row.
#include "half.glsl"
#include "reduce.glsl"

layout(buffer_reference, scalar) writeonly buffer Rows { uint at[]; };

/// Writes `columns` values and zeros up to `stride`, an even number, if `isInside`. Must be called
/// by all threads.
void writeRow(Rows rows, uvec2 scales, uint row, uint columns, uint stride, bool isInside) {
    const uint thread = gl_LocalInvocationIndex;
    uint largest = 0;
    for (uint i = thread; i < columns; i += THREADS)
        largest = max(largest, floatBitsToUint(valueAt(i)) & 0x7fffffffu);
    const float scale = halfScale(maxOfGroup(largest));
    if (!isInside) return;
    for (uint i = 2 * thread; i < stride; i += 2 * THREADS) {
        const float first = i < columns ? valueAt(i) * scale : 0.0;
        const float second = i + 1 < columns ? valueAt(i + 1) * scale : 0.0;
        rows.at[(row * stride + i) / 2] = halvesOf(first, second);
    }
    if (thread == 0) MutableFloats(scales).at[row] = inverseOfPower(scale);
}
