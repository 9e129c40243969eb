// Part of Inkstone. Licence: see LICENSE.
//
// RMS norm (centred = 0) or layer norm (1) of rows, with modulation:
//   y = (x - mean) / sqrt(variance + epsilon) * weight * (1 + scale[segment])
// written as an operand of f32, bytes (INT8) or f16 (F16); row_*.glsl describe the rows. RMS norm
// has a mean of zero.
//
// Shapes: x [rows][columns], weight [columns], scale [segments][scaleStride] (0: one row for all),
// segmentOfRow [rows], out [rows][strideOut], scales [rows]. One workgroup a row.
#version 460
#define THREADS 256
#include "common.glsl"
#include "reduce.glsl"

float valueAt(uint column);
#if defined(INT8)
#include "row_int8.glsl"
#elif defined(F16)
#include "row_f16.glsl"
#else
#include "row_f32.glsl"
#endif

layout(local_size_x = THREADS) in;

layout(push_constant, scalar) uniform Push {
    Floats x;
    uvec2 weight;
    uvec2 scale;
    uvec2 segmentOfRow;  // absent: all rows are of segment 0
    uvec2 guard;
    Rows result;
#if defined(INT8) || defined(F16)
    uvec2 scales;
#endif
    uint rows;
    uint columns;
    uint strideOut;
    uint scaleStride;
    uint centred;
    uint firstRow;  // number of x's first row in what is reported
    float epsilon;
} push;

// Of the current row.
uint start, scaleAt;
float mean, factor;

float valueAt(uint column) {
    precise float y = (push.x.at[start + column] - mean) * factor;
    if (isPresent(push.weight)) y *= Floats(push.weight).at[column];
    if (isPresent(push.scale)) y *= 1.0 + Floats(push.scale).at[scaleAt + column];
    return y;
}

void main() {
    const uint group = linearGroup(), thread = gl_LocalInvocationIndex,
               row = min(group, push.rows - 1);
    start = row * push.columns;
    mean = 0.0;
    if (push.centred != 0) {
        float sum = 0.0;
        for (uint i = thread; i < push.columns; i += THREADS) sum += push.x.at[start + i];
        mean = sumOfGroup(sum) / float(push.columns);
    }
    float squares = 0.0;
    for (uint i = thread; i < push.columns; i += THREADS) {
        const float d = push.x.at[start + i] - mean;
        squares += d * d;
    }
    squares = sumOfGroup(squares);
    if (thread == 0 && group < push.rows && !isFinite(squares))
        report(push.guard, push.firstRow + row);
    factor = inversesqrt(squares / float(push.columns) + push.epsilon);
    const uint segment = Words(presentOr(push.segmentOfRow, uvec2(push.x))).at[row];
    scaleAt = isPresent(push.segmentOfRow) ? segment * push.scaleStride : 0;
#if defined(INT8) || defined(F16)
    const uvec2 scales = push.scales;
#else
    const uvec2 scales = uvec2(0);
#endif
    writeRow(push.result, scales, row, push.columns, push.strideOut, group < push.rows);
}
