// Part of Inkstone. Licence: see LICENSE.
//
// Dot products of four bytes on registers alone, for the peak rate of the device. Each is multiplied
// with the sum of the one before, so that none can be computed ahead of the loop. All threads read
// the same numbers, at places that differ; the result is the sum of all chains, modulo 2^32.
#version 460
#extension GL_EXT_integer_dot_product : require
#include "common.glsl"

layout(local_size_x = 256) in;
const uint CHAINS = 16;
const uint STEPS = 8;  // of a chain in a round

layout(buffer_reference, scalar) readonly buffer Ints { int at[]; };
layout(buffer_reference, scalar) buffer Counter { uint sum; };
layout(push_constant, scalar) uniform Push {
    Ints numbers;  // [256]: a factor, which is the same for all threads
    Counter counter;
    uint rounds;
} push;

shared uint sum;

void main() {
    const uint thread = gl_LocalInvocationIndex;
    if (thread == 0) sum = 0;
    barrier();
    const int factor = push.numbers.at[thread];
    int x[CHAINS];
    [[unroll]] for (uint c = 0; c < CHAINS; ++c) x[c] = factor + int(c);
    for (uint r = 0; r < push.rounds; ++r)
        [[unroll]] for (uint s = 0; s < STEPS; ++s)
            [[unroll]] for (uint c = 0; c < CHAINS; ++c) x[c] += dotPacked4x8EXT(factor, x[c]);
    uint own = 0;
    [[unroll]] for (uint c = 0; c < CHAINS; ++c) own += uint(x[c]);
    atomicAdd(sum, own);
    barrier();
    if (thread == 0) atomicAdd(push.counter.sum, sum);
}
