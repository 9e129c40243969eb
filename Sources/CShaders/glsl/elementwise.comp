// Part of Inkstone. Licence: see LICENSE.
//
// Applies one function in place to `count` numbers, or to the columns first ..< end of rows of
// `columns`. One workgroup changes 1024 numbers.
#version 460
#include "common.glsl"
#include "activation.glsl"

layout(local_size_x = 256) in;
layout(constant_id = 0) const uint OPERATION = 0;
const uint SILU = 0;
const uint RELU = 1;
const uint TANH_LIMIT = 2;  // parameter * tanh(x / parameter)
const uint TANH = 3;        // of the columns first ..< end
const uint SCALE = 4;       // parameter * x

layout(push_constant, scalar) uniform Push {
    MutableFloats x;
    uint count;
    uint columns;
    uint first;
    uint end;
    float parameter;
} push;

void main() {
    for (uint i = 0; i < 4; ++i) {
        const uint at = linearGroup() * 1024 + i * 256 + gl_LocalInvocationIndex;
        if (at >= push.count) continue;
        float x = push.x.at[at];
        switch (OPERATION) {
        case SILU: x = silu(x); break;
        case RELU: x = relu(x); break;
        case TANH_LIMIT: x = push.parameter * accurateTanh(x / push.parameter); break;
        case TANH: {
            const uint column = at % push.columns;
            if (column >= push.first && column < push.end) x = accurateTanh(x);
            break;
        }
        default: x = x * push.parameter; break;
        }
        push.x.at[at] = x;
    }
}
