// Part of Inkstone. Licence: see LICENSE.
//
// Adds `scale` times y to x, `count` numbers of each. One workgroup changes 1024 numbers.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;

layout(push_constant, scalar) uniform Push {
    MutableFloats x;
    Floats y;
    uint count;
    float scale;
} push;

void main() {
    for (uint i = 0; i < 4; ++i) {
        const uint at = linearGroup() * 1024 + i * 256 + gl_LocalInvocationIndex;
        if (at < push.count) push.x.at[at] += push.scale * push.y.at[at];
    }
}
