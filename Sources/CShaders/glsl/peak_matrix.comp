// Part of Inkstone. Licence: see LICENSE.
//
// Products of matrices on registers alone, F16 or INT8, for the peak rate of the device: every
// subgroup adds the products of DOWN and ACROSS fragments `rounds` times. The factors are small
// integers from a buffer, so that sums are exact in f32; the result counts the elements that are
// `rounds` times those of one product.
#version 460
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "common.glsl"

#ifdef INT8
#define Element int8_t
#define Sum int
const uint PER_VECTOR = 16;
#else
#define Element float16_t
#define Sum float
const uint PER_VECTOR = 8;
#endif

layout(local_size_x_id = 0) in;                    // THREADS
layout(constant_id = 1) const uint SUBGROUP = 32;  // threads of a subgroup
layout(constant_id = 2) const uint SUBGROUPS = 8;
layout(constant_id = 3) const uint DOWN = 4;
layout(constant_id = 4) const uint ACROSS = 2;
layout(constant_id = 5) const uint FRAGMENT_ROWS = 16;
layout(constant_id = 6) const uint FRAGMENT_COLUMNS = 16;
layout(constant_id = 7) const uint FRAGMENT_DEPTH = 16;

const uint THREADS = SUBGROUPS * SUBGROUP;
const uint PITCH = FRAGMENT_DEPTH / PER_VECTOR;
const uint VECTORS_A = DOWN * FRAGMENT_ROWS * PITCH, VECTORS_B = ACROSS * FRAGMENT_COLUMNS * PITCH;
const uint FRAGMENT = FRAGMENT_ROWS * FRAGMENT_COLUMNS;

layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Uint4s {
    uvec4 at[];
};
layout(buffer_reference, scalar) buffer Counter { uint right; };
layout(push_constant, scalar) uniform Push {
    Uint4s factors;  // rows of A, then columns of B
    Counter counter;
    uint rounds;
} push;

shared uvec4 tileA[VECTORS_A];
shared uvec4 tileB[VECTORS_B];
shared Sum sumOf[SUBGROUPS * FRAGMENT];
shared Sum termOf[SUBGROUPS * FRAGMENT];
shared uint right;

#define Accumulator \
    coopmat<Sum, gl_ScopeSubgroup, FRAGMENT_ROWS, FRAGMENT_COLUMNS, gl_MatrixUseAccumulator>
#define FactorA coopmat<Element, gl_ScopeSubgroup, FRAGMENT_ROWS, FRAGMENT_DEPTH, gl_MatrixUseA>
#define FactorB coopmat<Element, gl_ScopeSubgroup, FRAGMENT_DEPTH, FRAGMENT_COLUMNS, gl_MatrixUseB>

void syncSubgroup() {
    controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                   gl_SemanticsAcquireRelease);
}

void main() {
    const uint thread = gl_LocalInvocationIndex, lane = gl_SubgroupInvocationID,
               own = gl_SubgroupID * FRAGMENT;
    for (uint i = thread; i < VECTORS_A; i += THREADS) tileA[i] = push.factors.at[i];
    for (uint i = thread; i < VECTORS_B; i += THREADS) tileB[i] = push.factors.at[VECTORS_A + i];
    if (thread == 0) right = 0;
    barrier();
    FactorA a[DOWN];
    [[unroll]] for (uint i = 0; i < DOWN; ++i)
        coopMatLoad(a[i], tileA, i * FRAGMENT_ROWS * PITCH, PITCH,
                    gl_CooperativeMatrixLayoutRowMajor);
    FactorB b[ACROSS];
    [[unroll]] for (uint j = 0; j < ACROSS; ++j)
        coopMatLoad(b[j], tileB, j * FRAGMENT_COLUMNS * PITCH, PITCH,
                    gl_CooperativeMatrixLayoutColumnMajor);
    Accumulator sums[DOWN * ACROSS];
    [[unroll]] for (uint i = 0; i < DOWN * ACROSS; ++i)
        sums[i] = Accumulator(Sum(0));
    for (uint r = 0; r < push.rounds; ++r)
        [[unroll]] for (uint i = 0; i < DOWN; ++i)
            [[unroll]] for (uint j = 0; j < ACROSS; ++j)
                sums[i * ACROSS + j] = coopMatMulAdd(a[i], b[j], sums[i * ACROSS + j]);
    uint count = 0;
    [[unroll]] for (uint i = 0; i < DOWN; ++i)
        [[unroll]] for (uint j = 0; j < ACROSS; ++j) {
            const Accumulator term = coopMatMulAdd(a[i], b[j], Accumulator(Sum(0)));
            coopMatStore(sums[i * ACROSS + j], sumOf, own, FRAGMENT_COLUMNS,
                         gl_CooperativeMatrixLayoutRowMajor);
            coopMatStore(term, termOf, own, FRAGMENT_COLUMNS, gl_CooperativeMatrixLayoutRowMajor);
            syncSubgroup();
            for (uint e = lane; e < FRAGMENT; e += SUBGROUP)
                count += sumOf[own + e] == Sum(push.rounds) * termOf[own + e] ? 1 : 0;
            syncSubgroup();
        }
    atomicAdd(right, count);
    barrier();
    if (thread == 0) atomicAdd(push.counter.right, right);
}
