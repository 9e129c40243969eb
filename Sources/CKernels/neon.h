// Part of Inkstone. Licence: see LICENSE.
//
// Primitives that the NEON variants share. A variant includes this file in place of defining
// INK_LANES, with its instruction for int8 in NEON_DOT_INT8.
//
// A vector of the template is two registers, so that a tile of 6 rows by 16 columns has 24 sums:
// four multipliers with a latency of four cycles need 16 independent ones. The other registers hold
// a step of the panel and the rows' words.

#include <arm_neon.h>

#define INK_LANES 8
// Both factors of SDOT and SMMLA are signed.
#define INK_INT8_OFFSET 0

#define NEON static inline __attribute__((always_inline))

// The template's vectors, and one register.
typedef float neon_vf __attribute__((ext_vector_type(INK_LANES)));
typedef int32_t neon_vi __attribute__((ext_vector_type(INK_LANES)));
typedef uint32_t neon_vu __attribute__((ext_vector_type(INK_LANES)));

#define NEON_LOW(x) __builtin_shufflevector(x, x, 0, 1, 2, 3)
#define NEON_HIGH(x) __builtin_shufflevector(x, x, 4, 5, 6, 7)
#define NEON_JOIN(low, high) __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7)

// A word in lane 0. Hides from the compiler that the other lanes are unused: it would load the word
// into all lanes by LD1R, which takes a multiplier's cycle, in place of multiplying by lane 0.
NEON uint32x4_t neon_word(uint32_t a) {
    uint32x4_t word = {a, 0, 0, 0};
    __asm__("" : "+w"(word));
    return word;
}

NEON neon_vu neon_splat(uint32x4_t word) {
    uint32x4_t lanes = vdupq_laneq_u32(word, 0);
    return NEON_JOIN(lanes, lanes);
}
#define INK_SPLAT_WORD(a) neon_splat(neon_word(a))

// The lower or the upper number of a pair in bf16, as f32, in the same way.
NEON neon_vu neon_splat_half(uint32_t a, int second) {
    uint32x4_t word = neon_word(a);
    return neon_splat(second ? vandq_u32(word, vdupq_n_u32(0xffff0000u)) : vshlq_n_u32(word, 16));
}
#define INK_SPLAT_HALF(a, second) neon_splat_half(a, second)

#ifdef NEON_DOT_INT8
// Four signed bytes of `a` times four in each lane of `b`, added to `sum`.
NEON neon_vi neon_dot_int8(neon_vi sum, uint32_t a, neon_vu b) {
    int8x16_t bytes = (int8x16_t)NEON_INT8_WORD(a);
    int32x4_t low = NEON_LOW(sum), high = NEON_HIGH(sum);
    low = NEON_DOT_INT8(low, bytes, (int8x16_t)NEON_LOW(b));
    high = NEON_DOT_INT8(high, bytes, (int8x16_t)NEON_HIGH(b));
    return (neon_vi)NEON_JOIN(low, high);
}
#define INK_DOT_INT8(sum, a, b) neon_dot_int8(sum, a, b)
#endif
