// Part of Inkstone. Licence: see LICENSE.
//
// The epilogue of a product (product_plain.comp) on stored sums:
//   out[r][c] = y (+ addend) (+ bias) (+ residual)
// or, if GATED, with adjacent columns of gate and up: out[r][j] = silu(y[2j]) * y[2j + 1] of the
// sums with addend and bias, an operand: zeros from columns / 2 to strideOut.
//
// Shapes: y, addend and residual [rows][columns], bias [columns], out [rows][strideOut]. Without
// GATED, `out` may be y. One workgroup writes 1024 numbers of [rows][strideOut] if GATED, else of
// [rows][columns].
#version 460
#include "common.glsl"
#include "epilogue.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const bool GATED = false;

layout(push_constant, scalar) uniform Push {
    Floats y;
    uvec2 addend;
    uvec2 bias;
    uvec2 residual;
    MutableFloats result;
    uint rows;
    uint columns;
    uint strideOut;
} push;

float finished(uint row, uint column) {
    const uint at = row * push.columns + column;
    const uvec2 residual = GATED ? uvec2(0) : push.residual;
    return withTerms(push.y.at[at], push.addend, at, push.bias, column, residual, at);
}

void main() {
    const uint width = GATED ? push.strideOut : push.columns;
    for (uint i = 0; i < 4; ++i) {
        const uint at = linearGroup() * 1024 + i * 256 + gl_LocalInvocationIndex;
        const uint row = at / width, column = at % width;
        if (row >= push.rows) continue;
        float x = 0.0;
        if (!GATED) x = finished(row, column);
        else if (column < push.columns / 2)
            x = silu(finished(row, 2 * column)) * finished(row, 2 * column + 1);
        push.result.at[row * push.strideOut + column] = x;
    }
}
