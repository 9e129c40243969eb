// Part of Inkstone. Licence: see LICENSE.
//
// Softmax attention within sequences without matrix instructions: online softmax over blocks of 32
// keys, counted from the start of each sequence, so that a query's arithmetic does not depend on
// the batch.
// Source: Dao et al., "FlashAttention" (2022).
//
// Shapes: qkv [tokens][stride], queries from column 0, keys from kColumn, values from vColumn on,
// all multiples of 4 unless ANY_WIDTH; query head h uses key and value head h / group. out [queries][strideOut], an
// operand: zeros from heads * headDim on. One workgroup computes 8 queries (tile x) of one head
// (y).
#version 460
#include "common.glsl"
#include "tile.glsl"

layout(local_size_x = 32, local_size_y = 8) in;
layout(constant_id = 0) const uint HEAD_DIM = 128;

layout(push_constant, scalar) uniform Push {
#ifdef ANY_WIDTH
    Floats qkv;
#else
    Float4s qkv;
#endif
    Tiles tiles;
    MutableFloats result;
    uint stride;
    uint strideOut;
    uint heads;
    uint group;
    uint kColumn;
    uint vColumn;
    uint causal;
    float scale;
} push;

const uint QUERIES = 8, KEYS = 32;
const uint QUADS = (HEAD_DIM + 3) / 4;  // vectors of a head, the last one padded with zeros
const uint PARTS = (QUADS + 7) / 8;  // groups of 8 vectors, the last one padded with zeros
const uint OWN = (QUADS + 31) / 32;  // vectors of the result that a thread computes
const float NONE = -3.0e38;          // below every score

#ifdef ANY_WIDTH
/// Returns four features of a head that begins at `column`.
vec4 features(uint row, uint column, uint quad) {
    vec4 x = vec4(0.0);
    for (uint i = 0; i < 4; ++i)
        if (4 * quad + i < HEAD_DIM) x[i] = push.qkv.at[row * push.stride + column + 4 * quad + i];
    return x;
}
#else
vec4 features(uint row, uint column, uint quad) {
    return push.qkv.at[(row * push.stride + column) / 4 + quad];
}
#endif

shared vec4 query[QUERIES][8 * PARTS];
shared vec4 key[KEYS][9];           // 32 features of a block of keys
shared float block[QUERIES][KEYS];  // scores of a block, then weights

void main() {
    const Tile tile = push.tiles.at[gl_WorkGroupID.x];
    const uint head = gl_WorkGroupID.y, kvColumn = head / push.group * HEAD_DIM;
    const uint lane = gl_LocalInvocationID.x, line = gl_LocalInvocationID.y,
               thread = gl_LocalInvocationIndex;
    const uint row = tile.firstQuery + min(line, tile.queries - 1);
    const uint position = row - tile.firstKey;
    const uint limit = push.causal != 0 ? min(tile.keys, position + 1) : tile.keys;
    const uint last = tile.firstQuery - tile.firstKey + tile.queries;
    const uint end = push.causal != 0 ? min(tile.keys, last) : tile.keys;
    const float scale =
        push.scale * 1.44269504088896341;  // exponentials are computed as powers of two

    for (uint i = lane; i < 8 * PARTS; i += 32)
        query[line][i] = i < QUADS ? features(row, head * HEAD_DIM, i) : vec4(0.0);
    vec4 sums[OWN];
    [[unroll]] for (uint i = 0; i < OWN; ++i)
        sums[i] = vec4(0.0);
    float runningMax = NONE, runningSum = 0.0;

    for (uint key0 = 0; key0 < end; key0 += KEYS) {
        const uint keyRow = tile.firstKey + min(key0 + thread / 8, tile.keys - 1);
        float score = 0.0;
        for (uint i = 0; i < QUADS; i += 8) {
            barrier();  // the previous features and weights have been read
            const uint quad = i + thread % 8;
            key[thread / 8][thread % 8] =
                quad < QUADS ? features(keyRow, push.kColumn + kvColumn, quad) : vec4(0.0);
            barrier();
            [[unroll]] for (uint f = 0; f < 8; ++f) {
                const vec4 q = query[line][i + f], k = key[lane][f];
                score = fma(q.x, k.x, score);
                score = fma(q.y, k.y, score);
                score = fma(q.z, k.z, score);
                score = fma(q.w, k.w, score);
            }
        }
        const bool isUsed = key0 + lane < limit;
        score = isUsed ? score * scale : NONE;
        block[line][lane] = score;
        barrier();
        float blockMax = runningMax;
        for (uint j = 0; j < KEYS; ++j) blockMax = max(blockMax, block[line][j]);
        barrier();
        block[line][lane] = isUsed ? exp2(score - blockMax) : 0.0;
        barrier();
        const float rescale = exp2(runningMax - blockMax);
        runningMax = blockMax;
        runningSum *= rescale;
        [[unroll]] for (uint i = 0; i < OWN; ++i)
            sums[i] *= rescale;
        const uint used = limit > key0 ? min(limit - key0, KEYS) : 0;
        for (uint j = 0; j < used; ++j) {
            const float weight = block[line][j];
            const uint valueRow = tile.firstKey + key0 + j;
            runningSum += weight;
            [[unroll]] for (uint i = 0; i < OWN; ++i)
                if (lane + 32 * i < QUADS)
                    sums[i] = fma(
                        vec4(weight),
                        features(valueRow, push.vColumn + kvColumn, lane + 32 * i), sums[i]);
        }
    }
    if (line >= tile.queries) return;
    const uint at = (tile.outRow + line) * push.strideOut;
    [[unroll]] for (uint i = 0; i < OWN; ++i) {
        if (lane + 32 * i >= QUADS) continue;
        const vec4 y = sums[i] / runningSum;
        [[unroll]] for (uint j = 0; j < 4; ++j)
            if (4 * (lane + 32 * i) + j < HEAD_DIM)
                push.result.at[at + head * HEAD_DIM + 4 * (lane + 32 * i) + j] = y[j];
    }
    if (head == 0)
        for (uint i = push.heads * HEAD_DIM + lane; i < push.strideOut; i += 32)
            push.result.at[at + i] = 0.0;
}
