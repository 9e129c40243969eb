// Part of Inkstone. Licence: see LICENSE.
//
// Softmax attention within sequences with matrix instructions (VK_KHR_cooperative_matrix), on f16
// from prepare.comp, with sums in f32: online softmax over blocks of KEYS keys, counted from the
// start of each sequence, so that a query's arithmetic does not depend on the batch. Weights are
// rounded to f16.
// Source: Dao et al., "FlashAttention" (2022).
//
// Shapes: qkv [tokens][stride] of f16, columns [queries | keys | values]; query head h uses key and
// value head h / group. The memory must extend to QUERIES rows past the last token; their content
// does not matter. out [queries][strideOut] f32: zeros from heads * HEAD_DIM on. One workgroup
// computes QUERIES = WARPS * FRAGMENT_ROWS queries (tile x) of one head (y), one subgroup
// FRAGMENT_ROWS of them.
#version 460
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "half.glsl"
#include "tile.glsl"

layout(local_size_x_id = 0) in;                    // THREADS
layout(constant_id = 1) const uint SUBGROUP = 32;  // threads of a subgroup
layout(constant_id = 2) const uint WARPS = 4;
layout(constant_id = 3) const uint KEYS = 32;  // a multiple of FRAGMENT_COLUMNS and FRAGMENT_DEPTH
layout(constant_id = 4) const uint HEAD_DIM = 128;  // likewise, at most 256
layout(constant_id = 5) const uint FRAGMENT_ROWS = 16;
layout(constant_id = 6) const uint FRAGMENT_COLUMNS = 16;
layout(constant_id = 7) const uint FRAGMENT_DEPTH = 16;

layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Halves {
    float16_t at[];
};
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Half8s {
    uvec4 at[];
};

layout(push_constant, scalar) uniform Push {
    Halves qkv;
    Tiles tiles;
    Words largest;  // [segments][heads + 2 kvHeads], as for prepare.comp
    MutableFloats result;
    uint stride;
    uint strideOut;
    uint heads;
    uint group;
    uint causal;
} push;

const uint THREADS = WARPS * SUBGROUP, QUERIES = WARPS * FRAGMENT_ROWS;
const uint ROW = HEAD_DIM / 8;  // vectors of 8 numbers of a key or value
const uint PITCH = ROW + 1;     // odd, against bank conflicts
const uint LOADS = (KEYS * ROW + THREADS - 1) / THREADS;
const uint SCORE_PITCH = KEYS + 4, WEIGHT_PITCH = KEYS + 8;
const uint FRAGMENT = FRAGMENT_ROWS * FRAGMENT_COLUMNS;
// Threads that share a row of scores, and rows of a thread: one of them is 1.
const uint SHARING = SUBGROUP > FRAGMENT_ROWS ? SUBGROUP / FRAGMENT_ROWS : 1;
const uint OWN_ROWS = SUBGROUP > FRAGMENT_ROWS ? 1 : FRAGMENT_ROWS / SUBGROUP;
const float NONE = -3.0e38;  // below every score

shared uvec4 staged[KEYS * PITCH];  // keys, then values of a block
shared float scores[QUERIES * SCORE_PITCH];
shared float16_t weights[QUERIES * WEIGHT_PITCH];
shared float spread[WARPS * FRAGMENT];  // one factor a row, in every column

#define Accumulator \
    coopmat<float, gl_ScopeSubgroup, FRAGMENT_ROWS, FRAGMENT_COLUMNS, gl_MatrixUseAccumulator>
#define FactorA coopmat<float16_t, gl_ScopeSubgroup, FRAGMENT_ROWS, FRAGMENT_DEPTH, gl_MatrixUseA>
#define FactorB \
    coopmat<float16_t, gl_ScopeSubgroup, FRAGMENT_DEPTH, FRAGMENT_COLUMNS, gl_MatrixUseB>

/// Returns a number of a row to a row's threads, `i` of OWN_ROWS.
uint rowOf(uint i) {
    return SUBGROUP > FRAGMENT_ROWS ? gl_SubgroupInvocationID / SHARING
                                    : gl_SubgroupInvocationID + i * SUBGROUP;
}

/// Sets a factor of a row of this subgroup in `spread`.
void spreadFactor(uint row, uint part, float factor) {
    for (uint c = part; c < FRAGMENT_COLUMNS; c += SHARING)
        spread[gl_SubgroupID * FRAGMENT + row * FRAGMENT_COLUMNS + c] = factor;
}

void main() {
    const Tile tile = push.tiles.at[gl_WorkGroupID.x];
    const uint head = gl_WorkGroupID.y, kvHead = head / push.group,
               kvHeads = push.heads / push.group;
    const uint thread = gl_LocalInvocationIndex, warp = gl_SubgroupID,
               part = gl_SubgroupInvocationID % SHARING;
    const uint words = tile.segment * (push.heads + 2 * kvHeads);
    const float scoreFactor =
        inverseOfPower(headScale(push.largest.at[words + head])) *
        inverseOfPower(headScale(push.largest.at[words + push.heads + kvHead]));
    const float valueFactor =
        inverseOfPower(headScale(push.largest.at[words + push.heads + kvHeads + kvHead]));
    const uint query0 = warp * FRAGMENT_ROWS, position0 = tile.firstQuery + query0 - tile.firstKey;
    // The same for all subgroups.
    const uint last = tile.firstQuery - tile.firstKey + QUERIES;
    const uint end = push.causal != 0 ? min(tile.keys, last) : tile.keys;
    Half8s rows = Half8s(uvec2(push.qkv));
    const uint stride = push.stride / 8, firstKey = (push.heads + kvHead) * ROW;
    const uint firstValue = (push.heads + kvHeads + kvHead) * ROW;

    FactorA query[HEAD_DIM / FRAGMENT_DEPTH];
    [[unroll]] for (uint d = 0; d < HEAD_DIM / FRAGMENT_DEPTH; ++d)
        coopMatLoad(query[d], push.qkv.at,
                    (tile.firstQuery + query0) * push.stride + head * HEAD_DIM + d * FRAGMENT_DEPTH,
                    push.stride, gl_CooperativeMatrixLayoutRowMajor);
    Accumulator sums[HEAD_DIM / FRAGMENT_COLUMNS];
    [[unroll]] for (uint d = 0; d < HEAD_DIM / FRAGMENT_COLUMNS; ++d)
        sums[d] = Accumulator(0.0);
    float runningMax[OWN_ROWS], runningSum[OWN_ROWS];
    [[unroll]] for (uint i = 0; i < OWN_ROWS; ++i) {
        runningMax[i] = NONE;
        runningSum[i] = 0.0;
    }

    uvec4 nextKeys[LOADS], nextValues[LOADS];
// Loads a block of keys or values to registers; zeros past the end, so that no other sequence's NaN
// meets a weight.
#define LOAD(to, first, key0)                                                          \
    [[unroll]] for (uint l = 0; l < LOADS; ++l) {                                      \
        const uint at = thread + l * THREADS, row = at / ROW;                          \
        to[l] = uvec4(0);                                                              \
        if (row < KEYS && key0 + row < tile.keys)                                      \
            to[l] = rows.at[(tile.firstKey + key0 + row) * stride + first + at % ROW]; \
    }
#define STAGE(from)                                                         \
    [[unroll]] for (uint l = 0; l < LOADS; ++l) {                           \
        const uint at = thread + l * THREADS;                               \
        if (at < KEYS * ROW) staged[at / ROW * PITCH + at % ROW] = from[l]; \
    }
    LOAD(nextKeys, firstKey, 0)
    for (uint key0 = 0; key0 < end; key0 += KEYS) {
        barrier();
        STAGE(nextKeys)
        barrier();
        LOAD(nextValues, firstValue, key0)
        [[unroll]] for (uint j = 0; j < KEYS / FRAGMENT_COLUMNS; ++j) {
            Accumulator score = Accumulator(0.0);
            [[unroll]] for (uint d = 0; d < HEAD_DIM / FRAGMENT_DEPTH; ++d) {
                FactorB key;
                coopMatLoad(key, staged, j * FRAGMENT_COLUMNS * PITCH + d * FRAGMENT_DEPTH / 8,
                            PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                score = coopMatMulAdd(query[d], key, score);
            }
            coopMatStore(score, scores, query0 * SCORE_PITCH + j * FRAGMENT_COLUMNS, SCORE_PITCH,
                         gl_CooperativeMatrixLayoutRowMajor);
        }
        barrier();
        STAGE(nextValues)
        [[unroll]] for (uint i = 0; i < OWN_ROWS; ++i) {
            const uint row = rowOf(i), at = (query0 + row) * SCORE_PITCH,
                       to = (query0 + row) * WEIGHT_PITCH;
            const uint limit = push.causal != 0 ? min(tile.keys, position0 + row + 1) : tile.keys;
            float blockMax = runningMax[i];
            for (uint c = part; c < KEYS; c += SHARING)
                if (key0 + c < limit) blockMax = max(blockMax, scores[at + c] * scoreFactor);
            for (uint b = 1; b < SHARING; b *= 2)
                blockMax = max(blockMax, subgroupShuffleXor(blockMax, b));
            float sum = 0.0;
            for (uint c = part; c < KEYS; c += SHARING) {
                const float weight =
                    key0 + c < limit ? exp2(scores[at + c] * scoreFactor - blockMax) : 0.0;
                weights[to + c] = float16_t(weight);
                sum += weight;
            }
            for (uint b = 1; b < SHARING; b *= 2) sum += subgroupShuffleXor(sum, b);
            const float rescale = exp2(runningMax[i] - blockMax);
            runningSum[i] = runningSum[i] * rescale + sum;
            runningMax[i] = blockMax;
            spreadFactor(row, part, rescale);
        }
        barrier();
        LOAD(nextKeys, firstKey, key0 + KEYS)
        Accumulator rescale;
        coopMatLoad(rescale, spread, warp * FRAGMENT, FRAGMENT_COLUMNS,
                    gl_CooperativeMatrixLayoutRowMajor);
        FactorA weight[KEYS / FRAGMENT_DEPTH];
        [[unroll]] for (uint j = 0; j < KEYS / FRAGMENT_DEPTH; ++j)
            coopMatLoad(weight[j], weights, query0 * WEIGHT_PITCH + j * FRAGMENT_DEPTH,
                        WEIGHT_PITCH, gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (uint d = 0; d < HEAD_DIM / FRAGMENT_COLUMNS; ++d) {
            sums[d] = sums[d] * rescale;
            [[unroll]] for (uint j = 0; j < KEYS / FRAGMENT_DEPTH; ++j) {
                FactorB value;
                coopMatLoad(value, staged, j * FRAGMENT_DEPTH * PITCH + d * FRAGMENT_COLUMNS / 8,
                            PITCH, gl_CooperativeMatrixLayoutRowMajor);
                sums[d] = coopMatMulAdd(weight[j], value, sums[d]);
            }
        }
    }

    barrier();
    [[unroll]] for (uint i = 0; i < OWN_ROWS; ++i)
        spreadFactor(rowOf(i), part, valueFactor / runningSum[i]);
    barrier();
    Accumulator factor;
    coopMatLoad(factor, spread, warp * FRAGMENT, FRAGMENT_COLUMNS,
                gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint d = 0; d < HEAD_DIM / FRAGMENT_COLUMNS; ++d) {
        barrier();
        coopMatStore(sums[d] * factor, spread, warp * FRAGMENT, FRAGMENT_COLUMNS,
                     gl_CooperativeMatrixLayoutRowMajor);
        barrier();
        for (uint e = gl_SubgroupInvocationID; e < FRAGMENT; e += SUBGROUP) {
            const uint row = query0 + e / FRAGMENT_COLUMNS;
            if (row < tile.queries)
                push.result.at[(tile.outRow + row) * push.strideOut + head * HEAD_DIM +
                               d * FRAGMENT_COLUMNS + e % FRAGMENT_COLUMNS] =
                    spread[warp * FRAGMENT + e];
        }
    }
    const uint width = push.strideOut - push.heads * HEAD_DIM;
    if (head == 0)
        for (uint i = thread; i < tile.queries * width; i += THREADS)
            push.result.at[(tile.outRow + i / width) * push.strideOut + push.heads * HEAD_DIM +
                           i % width] = 0.0;
}
