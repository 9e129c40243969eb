// Part of Inkstone. Licence: see LICENSE.
//
// Copies vectors of 16 bytes, for the memory bandwidth of the device. One workgroup copies 1024.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Uint4s {
    uvec4 at[];
};
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer MutableUint4s { uvec4 at[]; };
layout(push_constant, scalar) uniform Push {
    Uint4s source;
    MutableUint4s target;
    uint count;
} push;

void main() {
    const uint first = linearGroup() * 1024 + gl_LocalInvocationIndex;
    uvec4 numbers[4];
    [[unroll]] for (uint i = 0; i < 4; ++i)
        numbers[i] = first + i * 256 < push.count ? push.source.at[first + i * 256] : uvec4(0);
    [[unroll]] for (uint i = 0; i < 4; ++i)
        if (first + i * 256 < push.count) push.target.at[first + i * 256] = numbers[i];
}
