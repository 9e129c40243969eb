// Part of Inkstone. Licence: see LICENSE.
//
// Writes an image as an operand of f32 or f16 (F16): x * factor + shift, then SiLU if `silu`; zeros
// from `channels` to `stride`.
//
// An f16 image has one scale: if the largest magnitude of its values is given, they are multiplied
// by the power of two that brings it into [2^14, 2^15), and the scale is the inverse, otherwise 1.
// Normalised values need none: those of a group of n numbers are below sqrt(n) before `factor`.
//
// Shapes: x [pixels][channels], factors [2][channels]: factors, then shifts; absent: 1 and 0.
// `largest`, from largest.comp: one word, or absent. scale [1]. out [pixels][stride]. One workgroup
// writes 1024 numbers of f32, 2048 of f16.
#version 460
#include "common.glsl"
#include "activation.glsl"
#include "half.glsl"

layout(local_size_x = 256) in;

layout(buffer_reference, scalar) writeonly buffer Image {
#ifdef F16
    uint at[];
#else
    float at[];
#endif
};

layout(push_constant, scalar) uniform Push {
    Floats x;
    uvec2 factors;
#ifdef F16
    uvec2 largest;
    MutableFloats scale;
#endif
    Image result;
    uint pixels;
    uint channels;
    uint stride;
    uint silu;
} push;

float valueAt(uint pixel, uint channel) {
    if (channel >= push.channels) return 0.0;
    float y = push.x.at[pixel * push.channels + channel];
    if (isPresent(push.factors)) {
        Floats factors = Floats(push.factors);
        y = y * factors.at[channel] + factors.at[push.channels + channel];
    }
    return push.silu != 0 ? silu(y) : y;
}

void main() {
#ifdef F16
    const uint largest = Words(presentOr(push.largest, uvec2(push.x))).at[0];
    const float factor = isPresent(push.largest) ? halfScale(largest) : 1.0;
    if (linearGroup() == 0 && gl_LocalInvocationIndex == 0)
        push.scale.at[0] = inverseOfPower(factor);
#endif
    for (uint i = 0; i < 4; ++i) {
        const uint at = linearGroup() * 1024 + i * 256 + gl_LocalInvocationIndex;
#ifdef F16
        const uint pixel = 2 * at / push.stride, channel = 2 * at % push.stride;
        if (pixel < push.pixels)
            push.result.at[at] =
                halvesOf(valueAt(pixel, channel) * factor, valueAt(pixel, channel + 1) * factor);
#else
        const uint pixel = at / push.stride, channel = at % push.stride;
        if (pixel < push.pixels) push.result.at[at] = valueAt(pixel, channel);
#endif
    }
}
