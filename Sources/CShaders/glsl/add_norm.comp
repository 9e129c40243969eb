// Part of Inkstone. Licence: see LICENSE.
//
// x += gate[segment] * (rmsNorm(y) * weight), in place.
// Shapes: x and y [rows][columns], weight [columns], gate [segments][gateStride] (0: one row for
// all), segmentOfRow [rows]. One workgroup a row.
#version 460
#define THREADS 256
#include "common.glsl"
#include "reduce.glsl"

layout(local_size_x = THREADS) in;

layout(push_constant, scalar) uniform Push {
    MutableFloats x;
    Floats y;
    Floats weight;
    uvec2 gate;          // absent: 1
    uvec2 segmentOfRow;  // absent: all rows are of segment 0
    uvec2 guard;
    uint rows;
    uint columns;
    uint gateStride;
    float epsilon;
} push;

void main() {
    const uint group = linearGroup(), thread = gl_LocalInvocationIndex;
    const uint row = min(group, push.rows - 1), start = row * push.columns;
    float squares = 0.0;
    for (uint i = thread; i < push.columns; i += THREADS) {
        const float y = push.y.at[start + i];
        squares += y * y;
    }
    squares = sumOfGroup(squares);
    if (group >= push.rows) return;
    if (thread == 0 && !isFinite(squares)) report(push.guard, row);
    const float factor = inversesqrt(squares / float(push.columns) + push.epsilon);
    const uint segment = Words(presentOr(push.segmentOfRow, uvec2(push.x))).at[row];
    const uint gateAt = isPresent(push.segmentOfRow) ? segment * push.gateStride : 0;
    for (uint i = thread; i < push.columns; i += THREADS) {
        precise float add = push.y.at[start + i] * factor * push.weight.at[i];
        if (isPresent(push.gate)) add *= Floats(push.gate).at[gateAt + i];
        push.x.at[start + i] += add;
    }
}
