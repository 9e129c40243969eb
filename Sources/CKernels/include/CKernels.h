// Part of Inkstone. Licence: see LICENSE.
//
// Numeric kernels: matrix products, convolutions, attention, norms and conversions, in one variant
// per instruction set, selected at run time through a table of functions.
//
// Terms:
//   values    f32 activations, row-major, one token (or pixel) per row
//   operand   left-hand factor of a product: the rows in the product's precision, each padded with
//             zeros to a multiple of INK_OPERAND_ALIGN elements
//   panel     2 * lanes output columns of a weight matrix, stored in the order in which a kernel
//             reads them; see ink_pack
//   segment   one sequence of a ragged batch: rows [offsets[s], offsets[s + 1])
//
// The order of accumulation of an output element depends on its own row only, not on the other rows
// of the batch or the number of threads.

#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Rows of an operand are padded with zeros to a multiple of this many elements.
#define INK_OPERAND_ALIGN 32

/// Bytes after the padded elements of an int8 operand's row: its scale, an f32.
#define INK_INT8_ROW_EXTRA 4
/// Most elements in a row of an int8 product.
#define INK_INT8_MAX_DEPTH 32768
/// Most input channels of a convolution.
#define INK_CONVOLUTION_MAX_DEPTH 4096
/// Taps of Winograd weights: the 4 x 4 elements of a transformed tile.
#define INK_WINOGRAD_TAPS 16

// MARK: - Threads

/// A fixed set of threads that executes one kernel call at a time.
typedef struct ink_pool ink_pool;

/// Starts `threads - 1` threads; the calling thread is the remaining one. Returns NULL when out of
/// memory. Has fewer threads if the system refuses some; see ink_pool_threads.
ink_pool *_Nullable ink_pool_create(int threads);
void ink_pool_destroy(ink_pool *_Nullable pool);
int ink_pool_threads(const ink_pool *_Nonnull pool);

typedef void (*ink_task)(void *_Nullable context, size_t index, int thread);

/// Calls `task` once for each index below `count`, on all threads of the pool, and returns when all
/// calls have returned. `thread` is below ink_pool_threads. Not reentrant.
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

/// A weight matrix, packed in panels.
typedef struct ink_matrix {
    const void *_Nonnull panels;
    const float *_Nullable bias;  // columns rounded up to whole panels, or NULL
    size_t columns;               // output features
    size_t depth;                 // input features of one tap
    size_t taps;                  // 1 for a product, kernel height * width for a convolution
    ink_precision precision;
} ink_matrix;

/// Stored rows and the panels to fill from them.
typedef struct ink_pack {
    const void *_Nullable const *_Nonnull rows;  // panels * panel width pointers; NULL means zeros
    size_t row_count;                            // a multiple of the panel width
    ink_source source;
    size_t depth;
    size_t taps;         // a stored row is [depth][taps], channel first
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

/// Location of one panel's columns of an adapter's up-projection.
typedef struct ink_adapter_panel {
    uint32_t offset;  // of the first step in `panels`, in 4-byte words
    uint32_t first;   // word of the row `t` that the first step reads
    uint32_t steps;   // 4-byte words of the row; 0 if the adapter does not change the panel
} ink_adapter_panel;

/// The term that one adapter adds to some rows of a product:
///   scale * gain * (a * b) + t * panels + scale * addend
/// Columns are in the order of the product's panels.
typedef struct ink_adapter {
    size_t first, count;            // rows of the product
    float scale;                    // of `gain` and `addend`; `t` is already scaled
    const float *_Nullable gain;    // [whole panels], or NULL
    const float *_Nullable addend;  // row r - first at (r - first) * addend_stride, or NULL
    size_t addend_stride;           // 0: one row for all
    ink_operand t;                  // down-projected rows, [count, rank]
    ink_precision precision;        // of `t` and `panels`: f32 or bf16
    const void *_Nullable panels;
    const ink_adapter_panel *_Nullable table;  // one per panel of the product, or NULL
} ink_adapter;

typedef struct ink_product {
    ink_operand a;  // [rows, depth]
    size_t rows;
    ink_matrix b;
    int swiglu;  // 0: out = a * b + bias. 1: panels hold gate and up columns side by side,
                 // out = silu(gate) * up, `columns / 2` wide, written as an f32 or bf16 operand
    const float *_Nullable residual;  // added to the result; NULL with `swiglu`
    size_t residual_stride;
    ink_output out;                         // f32 values, or an operand with `swiglu`
    const ink_adapter *_Nullable adapters;  // added before the bias, in this order
    size_t adapter_count;
} ink_product;

typedef struct ink_convolution {
    ink_operand input;  // [height * width, channels]
    size_t height, width;
    size_t kernel;  // 1 or 3; taps = kernel * kernel
    size_t stride;  // 1 or 2
    size_t pad_top, pad_left;
    int upsample;  // 1: the input is upsampled by 2, nearest neighbour
    size_t out_height, out_width;
    ink_matrix weights;
    const float *_Nullable residual;  // [out_height * out_width, columns]
    float *_Nonnull out;              // [out_height * out_width, columns]
} ink_convolution;

/// A 3 x 3 convolution of stride 1 by Winograd's F(2x2, 3x3); see template/winograd.h.
typedef struct ink_winograd {
    const float *_Nonnull x;  // [height * width, depth]
    size_t height, width;
    const float *_Nullable factor;  // [depth]; the input is x * factor + shift, or x if NULL
    const float *_Nullable shift;
    int silu;                         // then SiLU
    int upsample;                     // 1: the input is upsampled by 2, nearest neighbour
    ink_matrix weights;               // of INK_WINOGRAD_TAPS taps, from ink_winograd_weights
    const float *_Nullable residual;  // [output pixels, columns]
    float *_Nonnull out;              // [output pixels, columns]
    float *_Nullable sums;  // [tasks, 2, columns]: sums of each task's outputs and of their squares
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
    // The first `queries[s + 1] - queries[s]` tokens of segment s are queries; rows `queries[s]`
    // onwards of the result are theirs. With `causal`, all tokens are queries.
    const size_t *_Nonnull queries;  // segments + 1
    size_t segments;
    int causal;
    float scale;
    ink_precision precision;
    ink_output out;          // [queries, heads * head_dim]
    void *_Nonnull scratch;  // ink_attention_scratch bytes, 64-byte aligned
} ink_attention;

/// RMS norm of each head, then rotary position embedding, in place.
typedef struct ink_head_norm {
    float *_Nonnull x;  // [tokens, heads * head_dim] with `stride`
    size_t stride, tokens, heads, head_dim;
    const float *_Nonnull weight;  // [head_dim]
    float epsilon;
    const float *_Nonnull cosines;  // [tokens, head_dim / 2]
    const float *_Nonnull sines;
    int interleaved;               // 1: pairs (2i, 2i + 1). 0: pairs (i, i + head_dim / 2)
    int32_t *_Nonnull non_finite;  // set to the lowest row with a value that is not finite
} ink_head_norm;

/// Normalises rows, then multiplies by `weight` and by (1 + `scale` of the row's segment).
typedef struct ink_norm {
    const float *_Nonnull x;  // [rows, dim]
    size_t rows, dim;
    int centred;                    // 0: RMS norm. 1: layer norm
    const float *_Nullable weight;  // [dim]
    float epsilon;
    const float *_Nullable scale;  // segment s at s * scale_stride (0: shared), or NULL
    size_t scale_stride;
    const size_t *_Nullable offsets;
    size_t segments;
    ink_output out;
    int32_t *_Nonnull non_finite;
} ink_norm;

/// x += `gate` of the row's segment * (rms_norm(y) * weight).
typedef struct ink_add_norm {
    float *_Nonnull x;        // [rows, dim]
    const float *_Nonnull y;  // [rows, dim]
    size_t rows, dim;
    const float *_Nonnull weight;
    float epsilon;
    const float *_Nullable gate;  // segment s at s * gate_stride (0: shared); NULL means 1
    size_t gate_stride;
    const size_t *_Nullable offsets;
    size_t segments;
    int32_t *_Nonnull non_finite;
} ink_add_norm;

/// Statistics of a group norm, as one multiply-add per channel.
typedef struct ink_group_norm {
    const float *_Nonnull x;  // [pixels, channels]
    size_t pixels, channels, groups;
    const float *_Nonnull weight;
    const float *_Nonnull bias;
    float epsilon;
    const float *_Nullable sums;  // [blocks, 2, channels] from ink_winograd, or NULL
    size_t blocks;
    float *_Nonnull factor;  // [channels]: out = x * factor + shift
    float *_Nonnull shift;
    void *_Nullable scratch;       // ink_group_norm_scratch bytes; NULL with `sums`
    int32_t *_Nonnull non_finite;  // set to 0 when the statistics are not finite
} ink_group_norm;

/// x * factor + shift, then SiLU if `silu`.
typedef struct ink_group_apply {
    const float *_Nonnull x;  // [pixels, channels]
    size_t pixels, channels;
    const float *_Nonnull factor;  // [channels]
    const float *_Nonnull shift;
    int silu;
    ink_output out;
} ink_group_apply;

/// Converts rows of f32 or bf16 to an operand or values.
typedef struct ink_convert {
    const void *_Nonnull x;
    ink_precision from;  // f32 or bf16
    size_t rows, columns, stride;
    float scale;  // factor of every element
    ink_output out;
} ink_convert;

// MARK: - Variants

/// One instruction set's kernels.
typedef struct ink_kernels {
    const char *_Nonnull name;  // as in dispatch.c, or "reference"
    int lanes;                  // f32 values in a vector; a panel is 2 * lanes columns
    int native_bf16;            // multiplies bf16 in hardware
    /// Fills panels, in the order that the variant's kernels read.
    void (*_Nonnull pack)(ink_pool *_Nonnull, const ink_pack *_Nonnull);
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
    /// Multiply-adds of one thread without memory traffic: the peak that utilisation refers to.
    /// Returns the number of operations.
    double (*_Nonnull spin)(ink_precision precision, size_t iterations);
    /// Bytes of `ink_attention.scratch`.
    size_t (*_Nonnull attention_scratch)(int threads, size_t tokens, size_t segments, size_t heads,
                                         size_t kv_heads, size_t head_dim, ink_precision precision);
    /// Bytes of `ink_winograd.scratch`.
    size_t (*_Nonnull winograd_scratch)(int threads, size_t depth, ink_precision precision);
} ink_kernels;

/// Variant `index` of those that this CPU supports, fastest first; NULL past the last one. There is
/// at least one.
const ink_kernels *_Nullable ink_kernels_available(size_t index);
/// The variant with the given name, or NULL if it is unknown or not supported by this CPU.
const ink_kernels *_Nullable ink_kernels_named(const char *_Nonnull name);
/// The variant that the environment variable INKSTONE_KERNELS names if this CPU supports it, else
/// the fastest.
const ink_kernels *_Nonnull ink_kernels_default(void);
/// Scalar reference implementation of every kernel, for panels of the given number of lanes.
const ink_kernels *_Nonnull ink_kernels_reference(int lanes);

/// Size in bytes of the panels of `row_count` rows.
size_t ink_panel_bytes(size_t row_count, size_t depth, size_t taps, ink_precision precision);
/// Fills panels of f32 or bf16 in the order of pack.c.
void ink_pack_rows(ink_pool *_Nonnull pool, const ink_pack *_Nonnull pack);

/// Bytes of `ink_group_norm.scratch`.
size_t ink_group_norm_scratch(size_t pixels, size_t channels);

ink_winograd_tasks ink_winograd_split(size_t height, size_t width, int upsample);
/// Transforms `count` kernels of 3 x 3 weights to the 4 x 4 weights that `winograd` multiplies by.
void ink_winograd_weights(const float *_Nonnull kernels, size_t count, float *_Nonnull out);

/// Converts stored numbers to f32; exact except from F64.
void ink_to_f32(const void *_Nonnull source, ink_source type, size_t count, float *_Nonnull out);
uint16_t ink_bf16_from_f32(float x);
float ink_f32_from_bf16(uint16_t x);
float ink_f32_from_f16(uint16_t x);

#ifdef __cplusplus
}
#endif
