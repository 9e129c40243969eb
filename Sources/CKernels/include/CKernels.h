// Part of Inkstone. Licence: see LICENSE.
//
// The numeric kernels: matrix products, convolutions, attention and their neighbours, in one
// variant per instruction set, behind a table that is chosen at run time.
//
// Words used below:
//   values    f32 activations, row-major, one token (or pixel) a row
//   operand   the left side of a product: the same rows in the product's own precision, with the
//             row length padded by zeros to a multiple of INK_OPERAND_ALIGN elements
//   panel     2 * lanes output columns of a weight matrix, stored so that a kernel reads them in
//             one forward sweep; see ink_pack
//   segment   one sequence of a ragged batch: rows [offsets[s], offsets[s + 1])
//
// Every output element is accumulated in an order that depends on its own row only: not on the
// other rows of the batch, and not on the number of threads.

#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Rows of an operand are padded with zeros to a multiple of this many elements.
#define INK_OPERAND_ALIGN 32

/// Rows of an int8 operand hold their scale, an f32, behind the padded numbers.
#define INK_INT8_ROW_EXTRA 4
/// Longest row of an int8 product.
#define INK_INT8_MAX_DEPTH 32768
/// Most input channels of a convolution.
#define INK_CONVOLUTION_MAX_DEPTH 4096
/// Taps of Winograd weights: the 4 x 4 elements of a transformed tile.
#define INK_WINOGRAD_TAPS 16

// MARK: - Threads

/// A fixed set of threads that share the work of one kernel call at a time.
typedef struct ink_pool ink_pool;

/// Starts `threads - 1` threads; the caller is the remaining one. Returns NULL when out of memory.
ink_pool *_Nullable ink_pool_create(int threads);
void ink_pool_destroy(ink_pool *_Nullable pool);
int ink_pool_threads(const ink_pool *_Nonnull pool);

typedef void (*ink_task)(void *_Nullable context, size_t index, int worker);

/// Calls `task` once for every index below `count`, spread over the pool, and returns when all are
/// done. One call at a time per pool.
void ink_pool_run(ink_pool *_Nonnull pool, size_t count, ink_task _Nonnull task,
                  void *_Nullable context);

// MARK: - Types

typedef enum ink_precision {
    INK_F32 = 0,   // f32 products
    INK_BF16 = 1,  // bf16 factors, f32 sums
    INK_INT8 = 2,  // rotated 8-bit factors, exact sums; see template/int8.h
} ink_precision;

typedef enum ink_source {
    INK_SOURCE_F32 = 0,
    INK_SOURCE_BF16 = 1,
    INK_SOURCE_F16 = 2,
    INK_SOURCE_F64 = 3,
} ink_source;

/// A weight matrix in panels.
typedef struct ink_matrix {
    const void *_Nonnull panels;
    const float *_Nullable bias;  // columns rounded up to whole panels, or NULL
    size_t columns;               // output features
    size_t depth;                 // input features of one tap
    size_t taps;                  // 1 for a product, kernel height * width for a convolution
    ink_precision precision;
} ink_matrix;

/// How to fill panels from stored rows.
typedef struct ink_pack {
    const void *_Nullable const *_Nonnull rows;  // panels * panel width pointers; NULL means zeros
    size_t row_count;                            // a multiple of the panel width
    ink_source source;
    size_t depth;
    size_t taps;  // a stored row is [depth][taps] (channel first), as convolutions are stored
    size_t panel_width;  // 2 * lanes of the variant
    ink_precision precision;
    void *_Nonnull destination;
} ink_pack;

typedef struct ink_operand {
    const void *_Nonnull data;
    size_t stride;  // elements between rows, at least the padded length
} ink_operand;

typedef struct ink_output {
    void *_Nonnull data;
    size_t stride;
    ink_precision precision;
} ink_output;

/// Where the low-rank columns of one panel lie.
typedef struct ink_adapter_panel {
    uint32_t offset;  // of its first step in `panels`, in words of 4 bytes
    uint32_t first;   // the row's word that its first step reads
    uint32_t steps;   // words; 0 where an adapter leaves the panel's columns alone
} ink_adapter_panel;

/// What one adapter adds to some rows of a product:
///   scale * gain * (a * b) + t * panels + scale * addend
/// Columns are those of the product's panels, in their order.
typedef struct ink_adapter {
    size_t first, count;            // rows of the product
    float scale;                    // of `gain` and `addend`; that of `t` is in its numbers
    const float *_Nullable gain;    // [whole panels], or NULL
    const float *_Nullable addend;  // row r - first at (r - first) * addend_stride, or NULL
    size_t addend_stride;           // 0: one row for all
    ink_operand t;                  // [count, rank]
    ink_precision precision;        // of `t` and `panels`: f32 or bf16
    const void *_Nullable panels;
    const ink_adapter_panel *_Nullable table;  // one for each panel of the product, or NULL
} ink_adapter;

typedef struct ink_product {
    ink_operand a;  // [rows, depth]
    size_t rows;
    ink_matrix b;
    int gated;  // 0: out = a * b + bias. 1: panels hold gate and up columns side by side,
                // out = silu(gate) * up, `columns / 2` wide, written as an f32 or bf16 operand
    const float *_Nullable residual;  // added to the result when not NULL (not with `gated`)
    size_t residual_stride;
    ink_output out;                         // f32 values, or an operand when `gated`
    const ink_adapter *_Nullable adapters;  // added before the bias, in this order
    size_t adapter_count;
} ink_product;

typedef struct ink_convolution {
    ink_operand input;  // [height * width, channels]
    size_t height, width;
    size_t kernel;  // 1 or 3; taps = kernel * kernel
    size_t stride;  // 1 or 2
    size_t pad_top, pad_left;
    int upsample;  // 1: the input is read as if enlarged twofold by nearest neighbour
    size_t out_height, out_width;
    ink_matrix weights;
    const float *_Nullable residual;  // [out_height * out_width, columns]
    float *_Nonnull out;              // [out_height * out_width, columns]
} ink_convolution;

/// A 3 x 3 convolution of stride 1 by Winograd's F(2x2, 3x3); see template/winograd.h.
typedef struct ink_winograd {
    const float *_Nonnull x;  // [height * width, depth]
    size_t height, width;
    const float *_Nullable factor;  // [depth]; the input is x * factor + shift, or x where NULL
    const float *_Nullable shift;
    int silu;            // then SiLU
    int upsample;        // 1: the input is read as if enlarged twofold by nearest neighbour
    ink_matrix weights;  // INK_WINOGRAD_TAPS taps, as made by ink_winograd_weights
    const float *_Nullable residual;  // [output pixels, columns]
    float *_Nonnull out;              // [output pixels, columns]
    float *_Nullable sums;   // [tasks, 2, columns]: each task's outputs and their squares, added up
    void *_Nonnull scratch;  // winograd_scratch bytes, 64-byte aligned
} ink_winograd;

/// Division of an image's 2 x 2 output tiles into tasks; depends on the image's size alone.
typedef struct ink_winograd_tasks {
    size_t rows, columns;  // tiles of the image
    size_t high, wide;     // tiles of a task
    size_t across;         // tasks side by side
    size_t count;
} ink_winograd_tasks;

typedef struct ink_attention {
    const float *_Nonnull q;  // [tokens, ..] rows of `stride`, head h at h * head_dim
    const float *_Nonnull k;
    const float *_Nonnull v;
    size_t stride;
    size_t heads, kv_heads, head_dim;
    const size_t *_Nonnull offsets;  // segments + 1
    // Of each segment's tokens the first `queries[s + 1] - queries[s]` ask; theirs are the rows
    // from `queries[s]` on of the result. With `causal` all must.
    const size_t *_Nonnull queries;  // segments + 1
    size_t segments;
    int causal;
    float scale;
    ink_precision precision;
    ink_output out;          // [queries, heads * head_dim]
    void *_Nonnull scratch;  // ink_attention_scratch bytes, 64-byte aligned
} ink_attention;

/// Per-head RMS norm, then rotation by position, in place.
typedef struct ink_head_norm {
    float *_Nonnull x;  // [tokens, heads * head_dim] with `stride`
    size_t stride, tokens, heads, head_dim;
    const float *_Nonnull weight;  // [head_dim]
    float epsilon;
    const float *_Nonnull cosines;  // [tokens, head_dim / 2]
    const float *_Nonnull sines;
    int interleaved;               // 1: pairs (2i, 2i + 1). 0: pairs (i, i + head_dim / 2)
    int32_t *_Nonnull non_finite;  // set to the lowest row that is not finite
} ink_head_norm;

/// Normalises rows, then multiplies by weight and by (1 + scale of the row's segment).
typedef struct ink_norm {
    const float *_Nonnull x;  // [rows, dim]
    size_t rows, dim;
    int centred;                    // 0: RMS norm. 1: layer norm
    const float *_Nullable weight;  // [dim]
    float epsilon;
    const float *_Nullable scale;  // segment s at s * scale_stride (0: one for all), or NULL
    size_t scale_stride;
    const size_t *_Nullable offsets;
    size_t segments;
    ink_output out;
    int32_t *_Nonnull non_finite;
} ink_norm;

/// x += gate of the row's segment * (rms(y) * weight).
typedef struct ink_add_norm {
    float *_Nonnull x;        // [rows, dim]
    const float *_Nonnull y;  // [rows, dim]
    size_t rows, dim;
    const float *_Nonnull weight;
    float epsilon;
    const float *_Nullable gate;  // segment s at s * gate_stride (0: one for all); NULL means 1
    size_t gate_stride;
    const size_t *_Nullable offsets;
    size_t segments;
    int32_t *_Nonnull non_finite;
} ink_add_norm;

/// Statistics of a group norm, as one multiply-add a channel.
typedef struct ink_group_norm {
    const float *_Nonnull x;  // [pixels, channels]
    size_t pixels, channels, groups;
    const float *_Nonnull weight;
    const float *_Nonnull bias;
    float epsilon;
    const float *_Nullable sums;  // [blocks, 2, channels] as in ink_winograd, or NULL
    size_t blocks;
    float *_Nonnull factor;  // [channels]: out = x * factor + shift
    float *_Nonnull shift;
    void *_Nullable scratch;       // ink_group_norm_scratch bytes; not needed with `sums`
    int32_t *_Nonnull non_finite;  // set to 0 when the statistics are not finite
} ink_group_norm;

/// x * factor + shift, then SiLU if asked for.
typedef struct ink_group_apply {
    const float *_Nonnull x;  // [pixels, channels]
    size_t pixels, channels;
    const float *_Nonnull factor;  // [channels]
    const float *_Nonnull shift;
    int silu;
    ink_output out;
} ink_group_apply;

typedef struct ink_convert {
    const void *_Nonnull x;
    ink_precision from;  // f32 or bf16
    size_t rows, columns, stride;
    float scale;  // multiplies every number
    ink_output out;
} ink_convert;

// MARK: - Variants

/// One instruction set's kernels.
typedef struct ink_kernels {
    const char *_Nonnull name;  // as in dispatch.c, or "reference"
    int lanes;                  // f32 values in a vector; a panel is 2 * lanes columns
    int native_bf16;            // multiplies bf16 in hardware
    int native_int8;            // multiplies and sums int8 in hardware
    /// Fills int8 panels; `ink_pack_rows` is for the other precisions.
    void (*_Nonnull pack_int8)(ink_pool *_Nonnull, const ink_pack *_Nonnull);
    void (*_Nonnull product)(ink_pool *_Nonnull, const ink_product *_Nonnull);
    void (*_Nonnull convolve)(ink_pool *_Nonnull, const ink_convolution *_Nonnull);
    void (*_Nonnull winograd)(ink_pool *_Nonnull, const ink_winograd *_Nonnull);
    void (*_Nonnull attend)(ink_pool *_Nonnull, const ink_attention *_Nonnull);
    void (*_Nonnull head_norm)(ink_pool *_Nonnull, const ink_head_norm *_Nonnull);
    void (*_Nonnull norm)(ink_pool *_Nonnull, const ink_norm *_Nonnull);
    void (*_Nonnull add_norm)(ink_pool *_Nonnull, const ink_add_norm *_Nonnull);
    void (*_Nonnull group_norm)(ink_pool *_Nonnull, const ink_group_norm *_Nonnull);
    void (*_Nonnull group_apply)(ink_pool *_Nonnull, const ink_group_apply *_Nonnull);
    void (*_Nonnull convert)(ink_pool *_Nonnull, const ink_convert *_Nonnull);
    void (*_Nonnull silu)(float *_Nonnull x, size_t count);
    /// Multiply-adds of one thread in registers only: the ceiling that shares of peak refer to.
    double (*_Nonnull spin)(ink_precision precision, size_t iterations);
    /// Bytes of scratch memory that `attend` needs.
    size_t (*_Nonnull attention_scratch)(int threads, size_t tokens, size_t segments, size_t heads,
                                         size_t kv_heads, size_t head_dim, ink_precision precision);
    /// Bytes of scratch memory that `winograd` needs.
    size_t (*_Nonnull winograd_scratch)(int threads, size_t depth, ink_precision precision);
} ink_kernels;

/// The best variant that this CPU runs.
const ink_kernels *_Nonnull ink_kernels_best(void);
/// The variant of that name, or NULL when it is unknown or this CPU lacks it.
const ink_kernels *_Nullable ink_kernels_named(const char *_Nonnull name);
/// The plain scalar twin of every kernel, with panels of the given number of lanes.
const ink_kernels *_Nonnull ink_kernels_reference(int lanes);

/// Bytes that the panels of `row_count` rows take.
size_t ink_panel_bytes(size_t row_count, size_t depth, size_t taps, ink_precision precision);
void ink_pack_rows(ink_pool *_Nonnull pool, const ink_pack *_Nonnull pack);

/// Bytes of scratch memory that `group_norm` needs.
size_t ink_group_norm_scratch(size_t pixels, size_t channels);

ink_winograd_tasks ink_winograd_split(size_t height, size_t width, int upsample);
/// Transforms `count` kernels of 3 x 3 weights to the 4 x 4 weights that `winograd` multiplies by.
void ink_winograd_weights(const float *_Nonnull kernels, size_t count, float *_Nonnull out);

/// Converts stored numbers to f32. Exact for every source but F64.
void ink_to_f32(const void *_Nonnull source, ink_source type, size_t count, float *_Nonnull out);
uint16_t ink_bf16_from_f32(float x);
float ink_f32_from_bf16(uint16_t x);

#ifdef __cplusplus
}
#endif
