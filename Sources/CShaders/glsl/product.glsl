// Part of Inkstone. Licence: see LICENSE.
//
// What all products C = A . B^T share: their variants, push constants and epilogue. Macros choose a
// variant:
//
//   (none)       factors are f32
//   F16          factors are f16; a row of A or B is multiplied by its scale, a power of two
//   INT8         factors are signed bytes; likewise, with any scale
//
//   (none)       out[r][c] = sum (+ addend[r][c]) (+ bias[c]) (+ residual[r][c])
//   GATED        rows of B are gate 0, up 0, gate 1, up 1, ..; y is the result above without
//                residual, and out[r][j] = silu(y[2j]) * y[2j + 1], an f32 operand: zeros from
//                columns / 2 to strideOut
//   CONVOLUTION  A is an image [height * width][strideA], row r of the result is output pixel r,
//                and depth = taps * strideA: an implicit matrix product over the taps in
//                row-major order. The image has one scale
//
// Shapes: A [rows][strideA], B [rowsB][strideB], both padded with zeros to `depth`, a multiple of
// 32, and strides are multiples of 32; out [rows][strideOut], f32. Every element is one sum over
// the depth in ascending order, wherever its row is in the batch.
#include "common.glsl"
#include "activation.glsl"
#include "epilogue.glsl"

layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Int4s { ivec4 at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Uint4s {
    uvec4 at[];
};

#if defined(INT8)
#define SCALED
#define Sum int
#define Vector ivec4
#define Vectors Int4s
const uint PER_VECTOR = 16;
#elif defined(F16)
#define SCALED
#define Sum float
#define Vector uvec4
#define Vectors Uint4s
const uint PER_VECTOR = 8;
#else
#define Sum float
#define Vector vec4
#define Vectors Float4s
const uint PER_VECTOR = 4;
#endif

layout(push_constant, scalar) uniform Push {
    Vectors a;
    Vectors b;
#ifdef SCALED
    Floats aScales;  // [rows], or [1] of an image
    Floats bScales;  // [columns]
#endif
    uvec2 bias;      // [columns]
    uvec2 residual;  // [rows][strideResidual]
    uvec2 addend;    // [rows][strideAddend]
    MutableFloats result;
    uint rows;
    uint columns;
    uint depth;
    uint strideA;
    uint strideB;
    uint strideOut;
    uint strideResidual;
    uint strideAddend;
    uint rowsB;  // rows of B that may be read, at least `columns`
#ifdef CONVOLUTION
    uint height;
    uint width;
    uint outWidth;
    uint geometry;  // kernel | stride << 8 | padding << 16 | upsample << 24
#endif
} push;

const uint OUTSIDE = 0xffffffffu;

#ifdef CONVOLUTION
uint spanOfTap() { return push.strideA; }
#else
uint spanOfTap() { return push.depth; }
#endif

/// Returns where the taps of a row of A begin: the coordinates of the first one, or the row's first
/// vector.
uvec2 originOfA(uint row) {
    row = min(row, push.rows - 1);
#ifdef CONVOLUTION
    // Coordinates above and to the left of the image wrap around to large numbers.
    const uint stride = push.geometry >> 8 & 255u, padding = push.geometry >> 16 & 255u;
    return uvec2(row % push.outWidth, row / push.outWidth) * stride - padding;
#else
    return uvec2(row * (push.strideA / PER_VECTOR), 0);
#endif
}

/// Returns the first vector of A for a tap, or OUTSIDE where the image is padded with zeros.
uint startOfA(uvec2 origin, uint tap) {
#ifdef CONVOLUTION
    const uint kernel = push.geometry & 255u, shift = push.geometry >> 24;
    const uvec2 at = origin + uvec2(tap % kernel, tap / kernel);
    if (at.x >= push.width << shift || at.y >= push.height << shift) return OUTSIDE;
    return ((at.y >> shift) * push.width + (at.x >> shift)) * (push.strideA / PER_VECTOR);
#else
    return origin.x;
#endif
}

/// Returns the first vector of a row of B.
uint startOfB(uint column) { return min(column, push.rowsB - 1) * (push.strideB / PER_VECTOR); }

/// Returns one element of the product with adapters and bias, and the residual unless GATED.
float elementOf(Sum sum, uint row, uint column) {
    precise float x = float(sum);
#ifdef SCALED
#ifdef CONVOLUTION
    x = x * (push.aScales.at[0] * push.bScales.at[column]);
#else
    x = x * (push.aScales.at[row] * push.bScales.at[column]);
#endif
#endif
#ifdef GATED
    const uvec2 residual = uvec2(0);
#else
    const uvec2 residual = push.residual;
#endif
    return withTerms(x, push.addend, row * push.strideAddend + column, push.bias, column, residual,
                     row * push.strideResidual + column);
}

/// Writes an element of the result.
void storeElement(Sum sum, uint row, uint column) {
    if (row < push.rows && column < push.columns)
        push.result.at[row * push.strideOut + column] = elementOf(sum, row, column);
}

/// Writes element `at` of a gated row from its two sums; zero in the padding.
void storeGated(Sum gate, Sum up, uint row, uint at) {
    if (row >= push.rows || at >= push.strideOut) return;
    float y = 0.0;
    if (at < push.columns / 2)
        y = silu(elementOf(gate, row, 2 * at)) * elementOf(up, row, 2 * at + 1);
    push.result.at[row * push.strideOut + at] = y;
}

/// Writes zeros from `first` to the end of `count` gated rows: the padding that no tile covers.
void padGated(uint row0, uint count, uint first, uint thread, uint threads) {
    if (first >= push.strideOut) return;
    const uint width = push.strideOut - first;
    for (uint i = thread; i < min(count, push.rows - row0) * width; i += threads)
        push.result.at[(row0 + i / width) * push.strideOut + first + i % width] = 0.0;
}
