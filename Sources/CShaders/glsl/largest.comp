// Part of Inkstone. Licence: see LICENSE.
//
// Largest magnitude of an image, as the bits of an f32 in one word, which must be zero before.
// Infinity is above all numbers and NaN above infinity; the order of the comparisons does not
// matter.
// Shapes: x [count]. One workgroup compares 4096 numbers.
#version 460
#define THREADS 256
#include "common.glsl"
#include "reduce.glsl"

layout(local_size_x = THREADS) in;

layout(buffer_reference, scalar) buffer Largest { uint bits; };

layout(push_constant, scalar) uniform Push {
    Floats x;
    Largest result;
    uint count;
} push;

void main() {
    uint largest = 0;
    for (uint i = 0; i < 16; ++i) {
        const uint at = linearGroup() * 4096 + i * 256 + gl_LocalInvocationIndex;
        if (at < push.count) largest = max(largest, floatBitsToUint(push.x.at[at]) & 0x7fffffffu);
    }
    largest = maxOfGroup(largest);
    if (gl_LocalInvocationIndex == 0) atomicMax(push.result.bits, largest);
}
