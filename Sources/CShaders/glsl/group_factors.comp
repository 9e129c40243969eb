// Part of Inkstone. Licence: see LICENSE.
//
// Combines the moments of all blocks and writes a group norm as one multiply-add a channel:
//   factor = weight / sqrt(variance + epsilon), shift = bias - mean * factor
// Every thread combines adjacent blocks in order, then a tree combines the threads.
//
// Shapes: stats [blocks][groups] moments, weight and bias [channels], out [2][channels]: factors,
// then shifts. One workgroup a group.
#version 460
#define THREADS 64
#include "common.glsl"
#include "chan.glsl"

layout(local_size_x = THREADS) in;

layout(buffer_reference, scalar) readonly buffer Statistics { Moments at[]; };

layout(push_constant, scalar) uniform Push {
    Statistics stats;
    Floats weight;
    Floats bias;
    MutableFloats result;
    uvec2 guard;
    uint blocks;
    uint channels;
    uint groups;
    float epsilon;
} push;

shared Moments parts[THREADS];

void main() {
    const uint thread = gl_LocalInvocationIndex, group = gl_WorkGroupID.x;
    const uint width = push.channels / push.groups, own = (push.blocks + THREADS - 1) / THREADS;
    Moments part = Moments(0.0, 0.0, 0.0);
    for (uint i = thread * own; i < min(push.blocks, (thread + 1) * own); ++i)
        part = combined(part, push.stats.at[i * push.groups + group]);
    parts[thread] = part;
    barrier();
    for (uint distance = 1; distance < THREADS; distance *= 2) {
        if (thread % (2 * distance) == 0)
            parts[thread] = combined(parts[thread], parts[thread + distance]);
        barrier();
    }
    const float mean = parts[0].mean, variance = parts[0].squares / parts[0].count;
    if (thread == 0 && !(isFinite(mean) && isFinite(variance))) report(push.guard, 0);
    const float inverse = inversesqrt(variance + push.epsilon);
    for (uint i = thread; i < width; i += THREADS) {
        const uint channel = group * width + i;
        const float factor = push.weight.at[channel] * inverse;
        push.result.at[channel] = factor;
        push.result.at[push.channels + channel] = push.bias.at[channel] - mean * factor;
    }
}
