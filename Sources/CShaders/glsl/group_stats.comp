// Part of Inkstone. Licence: see LICENSE.
//
// Mean and sum of squared distances from it of each block of pixels, for each group of adjacent
// channels: the first part of a group norm. Two passes over the block, so that a large mean does
// not cancel.
//
// Shapes: x [pixels][channels], out [blocks][groups] moments (chan.glsl). One workgroup computes
// group y of block x.
#version 460
#define THREADS 256
#include "common.glsl"
#include "chan.glsl"
#include "reduce.glsl"

layout(local_size_x = THREADS) in;

layout(buffer_reference, scalar) writeonly buffer Statistics { Moments at[]; };

layout(push_constant, scalar) uniform Push {
    Floats x;
    Statistics result;
    uint pixels;
    uint channels;
    uint groups;
    uint blockPixels;
} push;

void main() {
    const uint thread = gl_LocalInvocationIndex, width = push.channels / push.groups;
    const uint pixel0 = gl_WorkGroupID.x * push.blockPixels;
    const uint pixels = min(push.blockPixels, push.pixels - pixel0), count = pixels * width;
    const uint start = pixel0 * push.channels + gl_WorkGroupID.y * width;
    float sum = 0.0;
    for (uint i = thread; i < count; i += THREADS)
        sum += push.x.at[start + i / width * push.channels + i % width];
    const float mean = sumOfGroup(sum) / float(count);
    float squares = 0.0;
    for (uint i = thread; i < count; i += THREADS) {
        const float d = push.x.at[start + i / width * push.channels + i % width] - mean;
        squares += d * d;
    }
    squares = sumOfGroup(squares);
    if (thread == 0)
        push.result.at[gl_WorkGroupID.x * push.groups + gl_WorkGroupID.y] =
            Moments(mean, squares, float(count));
}
