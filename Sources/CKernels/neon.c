// Part of Inkstone. Licence: see LICENSE.
//
// ARMv8.0: every aarch64 processor.

#include "variants.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma STDC FP_CONTRACT ON

#define NEON_INLINE static inline __attribute__((always_inline))

// The four bytes of a word: the first two in each quarter of the lower half, the others in the
// upper.
NEON_INLINE int8x16_t spread_word(uint32_t a) {
    static const uint8_t order[16] = {0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3};
    uint32x4_t word = {a, 0, 0, 0};
    return (int8x16_t)vqtbl1q_u8((uint8x16_t)word, vld1q_u8(order));
}

// The panel has the same order: the first two bytes of four columns, then the others. Magnitudes
// are at most 127, so that the sum of two products fits 16 bits.
NEON_INLINE int32x4_t sum_of_products(int32x4_t sum, int8x16_t a, int8x16_t b) {
    int16x8_t products = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    return vpadalq_s16(sum, vmlal_high_s8(products, a, b));
}

#define NEON_INT8_WORD(a) spread_word(a)
#define NEON_DOT_INT8(sum, a, b) sum_of_products(sum, a, b)
#include "neon.h"

typedef uint16_t halves __attribute__((ext_vector_type(2 * INK_LANES)));
#define INK_ARRANGE_INT8(x)                                                                       \
    (vu) __builtin_shufflevector((halves)(x), (halves)(x), 0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, \
                                 9, 11, 13, 15)
#define INK_ROWS 4
// Rows that begin before others end hide latencies of processors that execute in order, and 4 rows
// leave registers for it.
#define INK_FREE_ORDER
#define INK_NAME "neon"
#define INK_NATIVE_BF16 0
#define INK_VARIANT ink_variant_neon
#include "template/table.h"
#endif
