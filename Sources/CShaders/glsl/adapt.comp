// Part of Inkstone. Licence: see LICENSE.
//
// Adds an adapter's gain of a product's sums to what is added to them:
// terms[r][c] += scale * gain[c] * y[r][c].
// Shapes: y, terms [rows][columns], gain [columns]. One workgroup changes 1024 numbers.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;

layout(push_constant, scalar) uniform Push {
    Floats y;
    Floats gain;
    MutableFloats terms;
    uint rows;
    uint columns;
    float scale;
} push;

void main() {
    for (uint i = 0; i < 4; ++i) {
        const uint at = linearGroup() * 1024 + i * 256 + gl_LocalInvocationIndex;
        if (at >= push.rows * push.columns) continue;
        push.terms.at[at] += push.scale * push.gain.at[at % push.columns] * push.y.at[at];
    }
}
