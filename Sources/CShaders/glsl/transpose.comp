// Part of Inkstone. Licence: see LICENSE.
//
// out[c][r] = x[r][c], zeros from `rows` to `strideOut`.
// Shapes: x [rows][strideX], of which `columns` are used; out [columns][strideOut]. One workgroup
// transposes 32 x 32 numbers: x counts tiles of columns, y of [0, strideOut).
#version 460
#include "common.glsl"

layout(local_size_x = 32, local_size_y = 8) in;

layout(push_constant, scalar) uniform Push {
    Floats x;
    MutableFloats result;
    uint rows;
    uint columns;
    uint strideX;
    uint strideOut;
} push;

shared float tile[32][33];

void main() {
    const uint lane = gl_LocalInvocationID.x, line = gl_LocalInvocationID.y;
    const uint row0 = gl_WorkGroupID.y * 32, column0 = gl_WorkGroupID.x * 32;
    for (uint i = line; i < 32; i += 8) {
        const bool isInside = row0 + i < push.rows && column0 + lane < push.columns;
        tile[i][lane] = 0.0;
        if (isInside) tile[i][lane] = push.x.at[(row0 + i) * push.strideX + column0 + lane];
    }
    barrier();
    for (uint i = line; i < 32; i += 8)
        if (column0 + i < push.columns && row0 + lane < push.strideOut)
            push.result.at[(column0 + i) * push.strideOut + row0 + lane] = tile[lane][i];
}
