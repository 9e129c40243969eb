// Part of Inkstone. Licence: see LICENSE.
//
// Converts rows of f32, times a factor, to an operand of bytes (INT8) or f16 (F16) with one scale a
// row; row_int8.glsl and row_f16.glsl describe the rows.
// Shapes: x [rows][strideX], of which `columns` are used; out [rows][stride]; scales [rows]. One
// workgroup a row.
#version 460
#define THREADS 256
#include "common.glsl"

float valueAt(uint column);
#ifdef INT8
#include "row_int8.glsl"
#else
#include "row_f16.glsl"
#endif

layout(local_size_x = THREADS) in;

layout(push_constant, scalar) uniform Push {
    Floats x;
    Rows result;
    uvec2 scales;
    uint rows;
    uint columns;
    uint strideX;
    uint stride;
    float factor;
} push;

float valueAt(uint column) {
    return push.x.at[min(linearGroup(), push.rows - 1) * push.strideX + column] * push.factor;
}

void main() {
    const uint row = min(linearGroup(), push.rows - 1);
    writeRow(push.result, push.scales, row, push.columns, push.stride, linearGroup() < push.rows);
}
