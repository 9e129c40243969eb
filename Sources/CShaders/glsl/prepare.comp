// Part of Inkstone. Licence: see LICENSE.
//
// Converts rows [queries | keys | values] to f16 for attention_matrix.comp. Queries are multiplied
// by `queryFactor`, the scale of the scores.
//
// Each head of a sequence is multiplied by the power of two that brings its largest magnitude, from
// head_largest.comp, into [2^14, 2^15); where that is zero, by 1. attention_matrix.comp undoes it.
//
// Shapes: x and out [tokens][heads + 2 kvHeads][headDim], headDim even; segmentOfRow [tokens],
// largest [segments][heads + 2 kvHeads]. One workgroup converts 8 heads.
#version 460
#include "common.glsl"
#include "half.glsl"

layout(local_size_x = 32, local_size_y = 8) in;

layout(buffer_reference, scalar) writeonly buffer Halves { uint at[]; };

layout(push_constant, scalar) uniform Push {
    Floats x;
    Words segmentOfRow;
    Words largest;
    Halves result;
    uint tokens;
    uint heads;
    uint kvHeads;
    uint headDim;
    float queryFactor;
} push;

void main() {
    const uint all = push.heads + 2 * push.kvHeads,
               unit = linearGroup() * 8 + gl_LocalInvocationID.y;
    if (unit >= push.tokens * all) return;
    const uint head = unit % all;
    const uint bits = push.largest.at[push.segmentOfRow.at[unit / all] * all + head];
    const float scale = headScale(bits), factor = head < push.heads ? push.queryFactor : 1.0;
    const uint pairs = push.headDim / 2;
    for (uint i = gl_LocalInvocationID.x; i < pairs; i += 32) {
        const uint at = unit * pairs + i;
        const float a = push.x.at[2 * at] * (factor * scale),
                    b = push.x.at[2 * at + 1] * (factor * scale);
        push.result.at[at] = halvesOf(a, b);
    }
}
