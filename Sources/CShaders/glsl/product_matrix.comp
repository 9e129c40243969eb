// Part of Inkstone. Licence: see LICENSE.
//
// Products with matrix instructions (VK_KHR_cooperative_matrix), F16 or INT8; product.glsl lists
// the variants. Tiles are staged in shared memory by vectors of 16 bytes while the next ones are
// loaded to registers. Specialization constants choose the tiles and the fragments, one of the
// device's shapes; the result's bits do not depend on the tiles.
//
// One workgroup computes BLOCK_ROWS x BLOCK_COLUMNS elements, one subgroup WARP_ROWS x WARP_COLUMNS
// of them. Workgroups: ceil(columns / BLOCK_COLUMNS) times ceil(rows / BLOCK_ROWS).
#version 460
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "product.glsl"

#ifdef INT8
#define Element int8_t
#else
#define Element float16_t
#endif

layout(local_size_x_id = 0) in;                    // THREADS
layout(constant_id = 1) const uint SUBGROUP = 32;  // threads of a subgroup
layout(constant_id = 2) const uint BLOCK_ROWS = 64;
layout(constant_id = 3) const uint BLOCK_COLUMNS = 64;
layout(constant_id = 4) const uint BLOCK_DEPTH = 32;  // a multiple of PER_VECTOR and FRAGMENT_DEPTH
layout(constant_id = 5) const uint WARP_ROWS = 32;
layout(constant_id = 6) const uint WARP_COLUMNS = 32;
layout(constant_id = 7) const uint FRAGMENT_ROWS = 16;
layout(constant_id = 8) const uint FRAGMENT_COLUMNS = 16;
layout(constant_id = 9) const uint FRAGMENT_DEPTH = 16;

const uint WARPS_ACROSS = BLOCK_COLUMNS / WARP_COLUMNS;
const uint WARPS = BLOCK_ROWS / WARP_ROWS * WARPS_ACROSS;
const uint THREADS = WARPS * SUBGROUP;
const uint DOWN = WARP_ROWS / FRAGMENT_ROWS, ACROSS = WARP_COLUMNS / FRAGMENT_COLUMNS;
const uint STEP = BLOCK_DEPTH / PER_VECTOR;  // vectors of a row that are staged at a time
const uint PITCH = STEP + 1;                 // odd, against bank conflicts
const uint LOADS_A = (BLOCK_ROWS * STEP + THREADS - 1) / THREADS;
const uint LOADS_B = (BLOCK_COLUMNS * STEP + THREADS - 1) / THREADS;
const uint FRAGMENT = FRAGMENT_ROWS * FRAGMENT_COLUMNS;
// Tiles of rows whose workgroups follow each other, so that they read B from the L2 cache.
const uint RASTER = 8;

shared uvec4 tileA[BLOCK_ROWS * PITCH];
shared uvec4 tileB[BLOCK_COLUMNS * PITCH];
shared Sum stage[WARPS * FRAGMENT];

#define Accumulator \
    coopmat<Sum, gl_ScopeSubgroup, FRAGMENT_ROWS, FRAGMENT_COLUMNS, gl_MatrixUseAccumulator>
#define FactorA coopmat<Element, gl_ScopeSubgroup, FRAGMENT_ROWS, FRAGMENT_DEPTH, gl_MatrixUseA>
#define FactorB coopmat<Element, gl_ScopeSubgroup, FRAGMENT_DEPTH, FRAGMENT_COLUMNS, gl_MatrixUseB>

/// Returns the tile of this workgroup: column, row.
uvec2 tileOfGroup() {
    const uvec2 tiles = uvec2(gl_NumWorkGroups.x, gl_NumWorkGroups.y * gl_NumWorkGroups.z);
    const uint tileRow = gl_WorkGroupID.y + gl_NumWorkGroups.y * gl_WorkGroupID.z,
               index = gl_WorkGroupID.x + tiles.x * tileRow,
               block = index / (RASTER * tiles.x);
    const uint high = min(tiles.y - block * RASTER, RASTER), within = index % (RASTER * tiles.x);
    return uvec2(within / high, block * RASTER + within % high);
}

void syncSubgroup() {
    controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                   gl_SemanticsAcquireRelease);
}

/// Position in the depth of A and B: vectors [at, at + STEP) of a tap.
struct Position {
    uint tap;
    uint at;
};

void main() {
    const uvec2 tile = tileOfGroup();
    const uint row0 = tile.y * BLOCK_ROWS, column0 = tile.x * BLOCK_COLUMNS,
               thread = gl_LocalInvocationIndex;
    const uint warp = gl_SubgroupID, lane = gl_SubgroupInvocationID;
    const uint warpRow = warp / WARPS_ACROSS * WARP_ROWS,
               warpColumn = warp % WARPS_ACROSS * WARP_COLUMNS;
    const uint taps = push.depth / spanOfTap(), span = spanOfTap() / PER_VECTOR;

    Accumulator sums[DOWN * ACROSS];
    [[unroll]] for (uint i = 0; i < DOWN * ACROSS; ++i)
        sums[i] = Accumulator(Sum(0));

    uvec4 nextA[LOADS_A], nextB[LOADS_B];
// Loads the vectors of a position to registers. A macro, since arrays of registers must not be
// parameters.
#define LOAD(p)                                                                                \
    [[unroll]] for (uint l = 0; l < LOADS_A; ++l) {                                            \
        const uint row = (thread + l * THREADS) / STEP, step = (thread + l * THREADS) % STEP;  \
        nextA[l] = uvec4(0);                                                                   \
        if (row < BLOCK_ROWS && p.at + step < span) {                                          \
            const uint start = startOfA(originA[l], p.tap);                                    \
            if (start != OUTSIDE) nextA[l] = uvec4(push.a.at[start + p.at + step]);            \
        }                                                                                      \
    }                                                                                          \
    [[unroll]] for (uint l = 0; l < LOADS_B; ++l) {                                            \
        const uint row = (thread + l * THREADS) / STEP, step = (thread + l * THREADS) % STEP;  \
        nextB[l] = uvec4(0);                                                                   \
        if (row < BLOCK_COLUMNS && p.at + step < span)                                         \
            nextB[l] = uvec4(push.b.at[startOfB(column0 + row) + p.tap * span + p.at + step]); \
    }
    uvec2 originA[LOADS_A];
    [[unroll]] for (uint l = 0; l < LOADS_A; ++l)
        originA[l] = originOfA(row0 + (thread + l * THREADS) / STEP);
    Position next = Position(0, 0);
    LOAD(next)
    while (next.tap < taps) {
        barrier();
        [[unroll]] for (uint l = 0; l < LOADS_A; ++l) {
            const uint at = thread + l * THREADS;
            if (at < BLOCK_ROWS * STEP) tileA[at / STEP * PITCH + at % STEP] = nextA[l];
        }
        [[unroll]] for (uint l = 0; l < LOADS_B; ++l) {
            const uint at = thread + l * THREADS;
            if (at < BLOCK_COLUMNS * STEP) tileB[at / STEP * PITCH + at % STEP] = nextB[l];
        }
        barrier();
        next.at += STEP;
        if (next.at >= span) next = Position(next.tap + 1, 0);
        if (next.tap < taps) {
            LOAD(next)
        }
        [[unroll]] for (uint k = 0; k < BLOCK_DEPTH; k += FRAGMENT_DEPTH) {
            FactorA a[DOWN];
            [[unroll]] for (uint i = 0; i < DOWN; ++i)
                coopMatLoad(a[i], tileA, (warpRow + i * FRAGMENT_ROWS) * PITCH + k / PER_VECTOR,
                            PITCH, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0; j < ACROSS; ++j) {
                FactorB b;
                coopMatLoad(b, tileB, (warpColumn + j * FRAGMENT_COLUMNS) * PITCH + k / PER_VECTOR,
                            PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0; i < DOWN; ++i)
                    sums[i * ACROSS + j] = coopMatMulAdd(a[i], b, sums[i * ACROSS + j]);
            }
        }
    }

    [[unroll]] for (uint i = 0; i < DOWN; ++i)
        [[unroll]] for (uint j = 0; j < ACROSS; ++j) {
            coopMatStore(sums[i * ACROSS + j], stage, warp * FRAGMENT, FRAGMENT_COLUMNS,
                         gl_CooperativeMatrixLayoutRowMajor);
            syncSubgroup();
            const uint row = row0 + warpRow + i * FRAGMENT_ROWS;
            const uint column = column0 + warpColumn + j * FRAGMENT_COLUMNS;
#ifdef GATED
            for (uint e = lane; e < FRAGMENT / 2; e += SUBGROUP)
                storeGated(stage[warp * FRAGMENT + 2 * e], stage[warp * FRAGMENT + 2 * e + 1],
                           row + 2 * e / FRAGMENT_COLUMNS, (column + 2 * e % FRAGMENT_COLUMNS) / 2);
#else
            for (uint e = lane; e < FRAGMENT; e += SUBGROUP)
                storeElement(stage[warp * FRAGMENT + e], row + e / FRAGMENT_COLUMNS,
                             column + e % FRAGMENT_COLUMNS);
#endif
            syncSubgroup();
        }
#ifdef GATED
    if (tile.x + 1 == gl_NumWorkGroups.x)
        padGated(row0, BLOCK_ROWS, (column0 + BLOCK_COLUMNS) / 2, thread, THREADS);
#endif
}
