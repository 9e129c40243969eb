// Part of Inkstone. Licence: see LICENSE.
//
// Products without matrix instructions; product.glsl lists the variants. One workgroup computes 64
// x 64 elements; x counts tiles of columns, y tiles of rows.
#version 460
#ifdef INT8
#extension GL_EXT_integer_dot_product : require
#endif
#include "product.glsl"

layout(local_size_x = 16, local_size_y = 8) in;

const uint TILE = 64;      // rows and columns of a tile
const uint THREADS = 128;  // 16 across, 8 down; a thread computes rows y + 8 i and columns x + 16 j
const uint ROWS = 8, COLUMNS = 4;
const uint STEP = 4;          // vectors of a row that are staged at a time
const uint PITCH = STEP + 1;  // odd, against bank conflicts
const uint LOADS = TILE * STEP / THREADS;

shared Vector tileA[TILE * PITCH];
shared Vector tileB[TILE * PITCH];

/// Returns the place of a column of the tile in shared memory: with GATED, gates before ups, so
/// that a thread has both columns of its results.
uint slotOf(uint column) {
#ifdef GATED
    return (column & 1u) * (TILE / 2) + column / 2;
#else
    return column;
#endif
}

/// Adds the products of two vectors in ascending order.
void accumulate(inout Sum sum, Vector a, Vector b) {
    [[unroll]] for (uint e = 0; e < 4; ++e) {
#if defined(INT8)
        sum += dotPacked4x8EXT(a[e], b[e]);
#elif defined(F16)
        const vec2 x = unpackHalf2x16(a[e]), y = unpackHalf2x16(b[e]);
        sum = fma(x.x, y.x, sum);
        sum = fma(x.y, y.y, sum);
#else
        sum = fma(a[e], b[e], sum);
#endif
    }
}

void store(Sum sums[ROWS][COLUMNS], uint row0, uint column0) {
    const uint x = gl_LocalInvocationID.x, y = gl_LocalInvocationID.y;
    [[unroll]] for (uint i = 0; i < ROWS; ++i) {
        const uint row = row0 + y + 8 * i;
#ifdef GATED
        [[unroll]] for (uint j = 0; j < COLUMNS / 2; ++j)
            storeGated(sums[i][j], sums[i][j + COLUMNS / 2], row, column0 / 2 + x + 16 * j);
#else
        [[unroll]] for (uint j = 0; j < COLUMNS; ++j)
            storeElement(sums[i][j], row, column0 + x + 16 * j);
#endif
    }
}

void main() {
    const uint row0 = (gl_WorkGroupID.y + gl_NumWorkGroups.y * gl_WorkGroupID.z) * TILE,
               column0 = gl_WorkGroupID.x * TILE;
    const uint thread = gl_LocalInvocationIndex, x = gl_LocalInvocationID.x,
               y = gl_LocalInvocationID.y;
    const uint taps = push.depth / spanOfTap(), span = spanOfTap() / PER_VECTOR;
    Sum sums[ROWS][COLUMNS];
    [[unroll]] for (uint i = 0; i < ROWS; ++i)
        [[unroll]] for (uint j = 0; j < COLUMNS; ++j) sums[i][j] = Sum(0);
    uvec2 originA[LOADS];
    [[unroll]] for (uint l = 0; l < LOADS; ++l)
        originA[l] = originOfA(row0 + (thread + l * THREADS) / STEP);
    for (uint tap = 0; tap < taps; ++tap) {
        uint startA[LOADS];
        [[unroll]] for (uint l = 0; l < LOADS; ++l)
            startA[l] = startOfA(originA[l], tap);
        for (uint k = 0; k < span; k += STEP) {
            barrier();
            [[unroll]] for (uint l = 0; l < LOADS; ++l) {
                const uint row = (thread + l * THREADS) / STEP,
                           step = (thread + l * THREADS) % STEP;
                // The last step of bytes may be half a step, since rows are padded to 32.
                const bool isInside = k + step < span;
                Vector a = Vector(0), b = Vector(0);
                if (isInside && startA[l] != OUTSIDE) a = push.a.at[startA[l] + k + step];
                if (isInside) b = push.b.at[startOfB(column0 + row) + tap * span + k + step];
                tileA[row * PITCH + step] = a;
                tileB[slotOf(row) * PITCH + step] = b;
            }
            barrier();
            for (uint step = 0; step < STEP; ++step) {
                Vector a[ROWS], b[COLUMNS];
                [[unroll]] for (uint i = 0; i < ROWS; ++i)
                    a[i] = tileA[(y + 8 * i) * PITCH + step];
                [[unroll]] for (uint j = 0; j < COLUMNS; ++j)
                    b[j] = tileB[(x + 16 * j) * PITCH + step];
                [[unroll]] for (uint i = 0; i < ROWS; ++i)
                    [[unroll]] for (uint j = 0; j < COLUMNS; ++j)
                        accumulate(sums[i][j], a[i], b[j]);
            }
        }
    }
    store(sums, row0, column0);
#ifdef GATED
    if (gl_WorkGroupID.x + 1 == gl_NumWorkGroups.x)
        padGated(row0, TILE, (column0 + TILE) / 2, thread, THREADS);
#endif
}
