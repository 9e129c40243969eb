// Part of Inkstone. Licence: see LICENSE.
//
// Copies values to an operand: out[r][c] = scale * x[r][c], zeros from `columns` to `stride`.
// Shapes: x [rows][columns], out [rows][stride]. One workgroup writes 1024 numbers.
#version 460
#include "common.glsl"

layout(local_size_x = 256) in;

layout(push_constant, scalar) uniform Push {
    Floats x;
    MutableFloats result;
    uint rows;
    uint columns;
    uint stride;
    float scale;
} push;

void main() {
    for (uint i = 0; i < 4; ++i) {
        const uint at = linearGroup() * 1024 + i * 256 + gl_LocalInvocationIndex;
        const uint row = at / push.stride, column = at % push.stride;
        if (row >= push.rows) continue;
        push.result.at[at] =
            column < push.columns ? push.x.at[row * push.columns + column] * push.scale : 0.0;
    }
}
