// Part of Inkstone. Licence: see LICENSE.
//
// RMS norm of each head, then rotary position embedding, in place:
//   (a, b) -> (a cos - b sin, a sin + b cos)
// for pairs (2i, 2i + 1) if `interleaved`, else (i, i + headDim / 2).
//
// Shapes: x [tokens][stride], heads from column `firstColumn` on, weight [headDim], cosines and
// sines [tokens][headDim / 2]. One workgroup normalises 8 heads of `tokens * heads`.
#version 460
#include "common.glsl"

layout(local_size_x = 32, local_size_y = 8) in;

layout(push_constant, scalar) uniform Push {
    MutableFloats x;
    Floats weight;
    Floats cosines;
    Floats sines;
    uvec2 guard;
    uint tokens;
    uint stride;
    uint firstColumn;
    uint heads;
    uint headDim;
    uint interleaved;
    float epsilon;
} push;

shared float sums[8][32];

void main() {
    const uint lane = gl_LocalInvocationID.x, line = gl_LocalInvocationID.y;
    const uint unit = linearGroup() * 8 + line, count = push.tokens * push.heads;
    const bool isInside = unit < count;
    const uint token = min(unit, count - 1) / push.heads, head = min(unit, count - 1) % push.heads;
    const uint start = token * push.stride + push.firstColumn + head * push.headDim,
               pairs = push.headDim / 2;
    float squares = 0.0;
    for (uint i = lane; i < push.headDim; i += 32) {
        const float a = push.x.at[start + i];
        squares += a * a;
    }
    sums[line][lane] = squares;
    barrier();
    for (uint distance = 16; distance > 0; distance /= 2) {
        if (lane < distance) sums[line][lane] += sums[line][lane + distance];
        barrier();
    }
    if (!isInside) return;
    squares = sums[line][0];
    if (lane == 0 && !isFinite(squares)) report(push.guard, token);
    const float factor = inversesqrt(squares / float(push.headDim) + push.epsilon);
    for (uint i = lane; i < pairs; i += 32) {
        const uint first = push.interleaved != 0 ? 2 * i : i;
        const uint second = push.interleaved != 0 ? 2 * i + 1 : i + pairs;
        const float a = push.x.at[start + first] * factor * push.weight.at[first];
        const float b = push.x.at[start + second] * factor * push.weight.at[second];
        const float c = push.cosines.at[token * pairs + i], s = push.sines.at[token * pairs + i];
        push.x.at[start + first] = a * c - b * s;
        push.x.at[start + second] = a * s + b * c;
    }
}
