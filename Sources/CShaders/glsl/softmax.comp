// Part of Inkstone. Licence: see LICENSE.
//
// Softmax of rows of scores times `factor` as an f16 operand: attention with heads that are too
// wide for attention_matrix.comp is a product, this, and another product. A row's largest weight
// becomes 2^14, and its scale is 2^-14 over the sum of the weights.
//
// Shapes: x [rows][strideX], of which `columns` are used; out [rows][stride] of f16, zeros from
// `columns` on; scales [rows]. `factor` contains log2(e). One workgroup a row.
#version 460
#define THREADS 256
#include "common.glsl"
#include "half.glsl"
#include "reduce.glsl"

layout(local_size_x = THREADS) in;

layout(buffer_reference, scalar) writeonly buffer Halves { uint at[]; };

layout(push_constant, scalar) uniform Push {
    Floats x;
    Halves result;
    MutableFloats scales;
    uint rows;
    uint columns;
    uint strideX;
    uint stride;
    float factor;
} push;

/// Bits of a number in an order that is that of the numbers, NaN of either sign at the ends.
uint orderedBits(float x) {
    const uint bits = floatBitsToUint(x);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

float numberOf(uint ordered) {
    return uintBitsToFloat((ordered & 0x80000000u) != 0 ? ordered & 0x7fffffffu : ~ordered);
}

void main() {
    const uint group = linearGroup(), thread = gl_LocalInvocationIndex,
               row = min(group, push.rows - 1);
    const uint start = row * push.strideX;
    uint largest = 0;
    for (uint i = thread; i < push.columns; i += THREADS)
        largest = max(largest, orderedBits(push.x.at[start + i]));
    const float top = numberOf(maxOfGroup(largest)) * push.factor;
    float sum = 0.0;
    for (uint i = 2 * thread; i < push.stride; i += 2 * THREADS) {
        float weight[2];
        [[unroll]] for (uint j = 0; j < 2; ++j) {
            weight[j] =
                i + j < push.columns ? exp2(push.x.at[start + i + j] * push.factor - top) : 0.0;
            sum += weight[j];
        }
        if (group < push.rows)
            push.result.at[(row * push.stride + i) / 2] =
                halvesOf(weight[0] * 16384.0, weight[1] * 16384.0);
    }
    sum = sumOfGroup(sum);
    if (thread == 0 && group < push.rows) push.scales.at[row] = 1.0 / 16384.0 / sum;
}
