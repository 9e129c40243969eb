// Part of Inkstone. Licence: see LICENSE.
//
// Multiply-adds of f32 on registers alone, for the peak rate of the device. The numbers come from a
// buffer, -1 and 1, so that a compiler cannot know that x * -1 + 1 twice is x: after an even number
// of rounds every thread has what it began with, and counts the chains for which that holds.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;
const uint CHAINS = 16;
const uint STEPS = 8;  // of a chain in a round

layout(buffer_reference, scalar) buffer Counter { uint right; };
layout(push_constant, scalar) uniform Push {
    Floats numbers;  // factor, summand
    Counter counter;
    uint rounds;
} push;

shared uint right;

void main() {
    const uint thread = gl_LocalInvocationIndex;
    if (thread == 0) right = 0;
    barrier();
    const float factor = push.numbers.at[0], summand = push.numbers.at[1];
    float x[CHAINS];
    [[unroll]] for (uint c = 0; c < CHAINS; ++c) x[c] = float(c + thread);
    for (uint r = 0; r < push.rounds; ++r)
        [[unroll]] for (uint s = 0; s < STEPS; ++s)
            [[unroll]] for (uint c = 0; c < CHAINS; ++c) x[c] = fma(x[c], factor, summand);
    uint count = 0;
    [[unroll]] for (uint c = 0; c < CHAINS; ++c)
        count += x[c] == float(c + thread) ? 1 : 0;
    atomicAdd(right, count);
    barrier();
    if (thread == 0) atomicAdd(push.counter.right, right);
}
