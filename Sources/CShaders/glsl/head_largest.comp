// Part of Inkstone. Licence: see LICENSE.
//
// Largest magnitude of each head of each sequence, as the bits of an f32 in words that must be zero
// before. Infinity is above all numbers and NaN above infinity; the order of the comparisons does
// not matter.
//
// Shapes: x [tokens][stride], `count` heads from column firstHead * headDim on; segmentOfRow
// [tokens]; out [segments][allHeads], of which the columns of those heads are written. One
// workgroup compares 16 tokens (x) of 8 heads (y).
#version 460
#include "common.glsl"

layout(local_size_x = 32, local_size_y = 8) in;

layout(buffer_reference, scalar) buffer Largest { uint at[]; };

layout(push_constant, scalar) uniform Push {
    Floats x;
    Words segmentOfRow;
    Largest result;
    uint tokens;
    uint stride;
    uint firstHead;
    uint count;
    uint headDim;
    uint allHeads;
} push;

shared uint largest[8][32];

void main() {
    const uint lane = gl_LocalInvocationID.x, line = gl_LocalInvocationID.y, TOKENS = 16;
    const uint head = push.firstHead + min(gl_WorkGroupID.y * 8 + line, push.count - 1);
    const uint token0 = gl_WorkGroupID.x * TOKENS;
    uint running = 0;
    for (uint i = 0; i < TOKENS; ++i) {
        // The last token again where there are no more: a maximum does not change.
        const uint token = min(token0 + i, push.tokens - 1), segment = push.segmentOfRow.at[token];
        for (uint d = lane; d < push.headDim; d += 32)
            running = max(
                running, floatBitsToUint(push.x.at[token * push.stride + head * push.headDim + d]) &
                             0x7fffffffu);
        const bool isLast =
            i + 1 == TOKENS || push.segmentOfRow.at[min(token + 1, push.tokens - 1)] != segment;
        if (!isLast) continue;
        barrier();
        largest[line][lane] = running;
        barrier();
        for (uint distance = 16; distance > 0; distance /= 2) {
            if (lane < distance)
                largest[line][lane] = max(largest[line][lane], largest[line][lane + distance]);
            barrier();
        }
        if (lane == 0) atomicMax(push.result.at[segment * push.allHeads + head], largest[line][0]);
        running = 0;
    }
}
