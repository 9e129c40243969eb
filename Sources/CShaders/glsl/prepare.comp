// Part of Inkstone. Licence: see LICENSE.
//
// Converts rows [queries | keys | values] to f16 for attention_matrix.comp. For queries and keys:
// RMS norm of each head if there is a weight, then rotary position embedding if there are cosines,
// as in head_norm.comp; queries are then multiplied by `queryFactor`, the scale of the scores.
//
// The values of a head, and queries and keys without norm, have no bound. Each head of a sequence
// is multiplied by the power of two that brings its largest magnitude, from head_largest.comp, into
// [2^14, 2^15); where that is zero, by 1. attention_matrix.comp undoes it.
//
// Shapes: x [tokens][stride], weights [headDim], cosines and sines [tokens][headDim / 2],
// segmentOfRow [tokens], largest [segments][heads + 2 kvHeads], out [tokens][strideOut]. headDim is
// even and at most 512. One workgroup converts 8 heads of `tokens * (heads + 2 kvHeads)`.
#version 460
#include "common.glsl"
#include "half.glsl"

layout(local_size_x = 32, local_size_y = 8) in;

layout(buffer_reference, scalar) writeonly buffer Halves { uint at[]; };

layout(push_constant, scalar) uniform Push {
    Floats x;
    uvec2 queryWeight;
    uvec2 keyWeight;
    uvec2 cosines;
    uvec2 sines;
    uvec2 guard;
    Words segmentOfRow;
    Words largest;
    Halves result;
    uint tokens;
    uint stride;
    uint heads;
    uint kvHeads;
    uint headDim;
    uint strideOut;
    uint interleaved;
    float queryFactor;
    float epsilon;
} push;

shared float sums[8][32];
shared float numbers[8][512];

void main() {
    const uint lane = gl_LocalInvocationID.x, line = gl_LocalInvocationID.y;
    const uint all = push.heads + 2 * push.kvHeads, unit = linearGroup() * 8 + line;
    const uint token = min(unit / all, push.tokens - 1), head = unit % all,
               pairs = push.headDim / 2;
    const bool isInside = unit < push.tokens * all, isQuery = head < push.heads;
    const bool isValue = head >= push.heads + push.kvHeads;
    const uvec2 weight = isValue ? uvec2(0) : isQuery ? push.queryWeight : push.keyWeight;
    const uint start = token * push.stride + head * push.headDim;
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
    float factor = 1.0;
    if (isPresent(weight)) {
        squares = sums[line][0];
        if (isInside && lane == 0 && !isFinite(squares)) report(push.guard, token);
        factor = inversesqrt(squares / float(push.headDim) + push.epsilon);
    }
    const uint bits = push.largest.at[push.segmentOfRow.at[token] * all + head];
    const float last = (isQuery ? push.queryFactor : 1.0) * headScale(bits);
    for (uint i = lane; i < pairs; i += 32) {
        const uint first = push.interleaved != 0 ? 2 * i : i;
        const uint second = push.interleaved != 0 ? 2 * i + 1 : i + pairs;
        float a = push.x.at[start + first] * factor, b = push.x.at[start + second] * factor;
        if (isPresent(weight)) {
            a *= Floats(weight).at[first];
            b *= Floats(weight).at[second];
        }
        if (isPresent(push.cosines) && !isValue) {
            const float c = Floats(push.cosines).at[token * pairs + i],
                        s = Floats(push.sines).at[token * pairs + i];
            const float rotated = a * c - b * s;
            b = a * s + b * c;
            a = rotated;
        }
        numbers[line][first] = a * last;
        numbers[line][second] = b * last;
    }
    barrier();
    if (!isInside) return;
    for (uint i = lane; i < pairs; i += 32)
        push.result.at[(token * push.strideOut + head * push.headDim) / 2 + i] =
            halvesOf(numbers[line][2 * i], numbers[line][2 * i + 1]);
}
