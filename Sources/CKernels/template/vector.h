// Part of Inkstone. Licence: see LICENSE.
//
// Vectors of INK_LANES f32 values in the compiler's vector types, for every instruction set. No
// include guard: each variant includes this file once, for its target.

typedef float vf __attribute__((ext_vector_type(INK_LANES)));
typedef int32_t vi __attribute__((ext_vector_type(INK_LANES)));
typedef uint32_t vu __attribute__((ext_vector_type(INK_LANES)));
typedef vf vf_u __attribute__((aligned(4)));
typedef vu vu_u __attribute__((aligned(4)));
typedef uint16_t vh __attribute__((ext_vector_type(INK_LANES)));
typedef vh vh_u __attribute__((aligned(2)));

#define AI static inline __attribute__((always_inline))
// Precedes a loop whose count is constant after inlining.
#define UNROLLED _Pragma("clang loop unroll(full)")
enum { LANES = INK_LANES, PANEL = 2 * INK_LANES };

AI vf load(const float *p) { return *(const vf_u *)p; }
AI void store(float *p, vf x) { *(vf_u *)p = x; }
AI vf splat(float x) { return (vf)(x); }
AI vf choose(vi mask, vf a, vf b) { return (vf)(((vi)a & mask) | ((vi)b & ~mask)); }

// Comparisons instead of max and min: NaN propagates.
AI vf at_most(vf x, float limit) { return choose(x > splat(limit), splat(limit), x); }
AI vf at_least(vf x, float limit) { return choose(x < splat(limit), splat(limit), x); }

AI vf load_some(const float *p, size_t count, float fill) {
    if (count >= LANES) return load(p);
    vf x = splat(fill);
    for (size_t i = 0; i < count; i++) x[i] = p[i];
    return x;
}

AI void store_some(float *p, vf x, size_t count) {
    if (count >= LANES) {
        store(p, x);
        return;
    }
    for (size_t i = 0; i < count; i++) p[i] = x[i];
}

#if INK_LANES == 16
#define SWAP_PAIRS(x) \
    __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#define DOUBLED(x) __builtin_shufflevector(x, x, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7)
#define UPPER_HALF(x) \
    __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)
#define UPPER_QUAD(x) __builtin_shufflevector(x, x, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7)
#elif INK_LANES == 8
#define UPPER_QUAD(x) __builtin_shufflevector(x, x, 4, 5, 6, 7, 4, 5, 6, 7)
#define SWAP_PAIRS(x) __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6)
#define DOUBLED(x) __builtin_shufflevector(x, x, 0, 0, 1, 1, 2, 2, 3, 3)
#else
#define SWAP_PAIRS(x) __builtin_shufflevector(x, x, 1, 0, 3, 2)
#define DOUBLED(x) __builtin_shufflevector(x, x, 0, 0, 1, 1)
#endif

// Pairwise in a fixed tree: the result depends on the values alone.
AI float sum_lanes(vf x) {
#if INK_LANES == 16
    x += UPPER_HALF(x);
#endif
#if INK_LANES >= 8
    x += UPPER_QUAD(x);
#endif
    return (x[0] + x[2]) + (x[1] + x[3]);
}

// bf16 in the low half of each lane, rounded to nearest even; NaN propagates.
AI vu bf16_bits(vf x) {
    vu bits = (vu)x;
    vu rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    vi nan = x != x;
    vu quiet = (bits >> 16) | 0x40u;
    return (rounded & ~(vu)nan) | (quiet & (vu)nan);
}

AI vh to_bf16(vf x) {
#ifdef INK_TO_BF16
    return INK_TO_BF16(x);
#else
    return __builtin_convertvector(bf16_bits(x), vh);
#endif
}

AI vu bf16_word(vf x) { return __builtin_convertvector(to_bf16(x), vu); }

AI void store_bf16(uint16_t *p, vf x, size_t count) {
    vh h = to_bf16(x);
    if (count >= LANES) {
        *(vh_u *)p = h;
        return;
    }
    for (size_t i = 0; i < count; i++) p[i] = h[i];
}

// e^x to about 1 ulp: x = n ln 2 + r with |r| <= ln(2)/2, a polynomial in r (Cephes' expf), and 2^n
// by exponent arithmetic. Below -87.3 the result is 1.2e-38, above 88.3 it is 2.3e38.
AI vf exponential(vf x) {
    x = at_least(at_most(x, 88.3f), -87.3f);
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    vf shifted = x * 1.44269504088896341f + magic;
    vf n = shifted - magic;
    vf r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vf y = splat(1.9875691500e-4f);
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + (r + 1.0f);
    vi power = ((vi)shifted - 0x4b400000 + 127) << 23;
    return y * (vf)power;
}

AI vf silu(vf x) { return x / (exponential(-x) + 1.0f); }

// Transposes LANES vectors of LANES words: lane j of vector i becomes lane i of vector j.
// Interleaving the halves rotates the bits of (vector, lane) by one position.
#if INK_LANES == 16
#define INTERLEAVE(a, b, from)                                                               \
    __builtin_shufflevector(a, b, from, from + 16, from + 1, from + 17, from + 2, from + 18, \
                            from + 3, from + 19, from + 4, from + 20, from + 5, from + 21,   \
                            from + 6, from + 22, from + 7, from + 23)
#elif INK_LANES == 8
#define INTERLEAVE(a, b, from)                                                             \
    __builtin_shufflevector(a, b, from, from + 8, from + 1, from + 9, from + 2, from + 10, \
                            from + 3, from + 11)
#else
#define INTERLEAVE(a, b, from) __builtin_shufflevector(a, b, from, from + 4, from + 1, from + 5)
#endif

AI void transpose(vu x[LANES]) {
    UNROLLED
    for (int round = 1; round < LANES; round *= 2) {
        vu y[LANES];
        UNROLLED
        for (int i = 0; i < LANES / 2; i++) {
            y[2 * i] = INTERLEAVE(x[i], x[i + LANES / 2], 0);
            y[2 * i + 1] = INTERLEAVE(x[i], x[i + LANES / 2], LANES / 2);
        }
        UNROLLED
        for (int i = 0; i < LANES; i++) x[i] = y[i];
    }
}

// Hides from the compiler what a vector holds, at no cost: code around it is neither reordered nor
// combined.
#if defined(__x86_64__)
#define OPAQUE(x) __asm__ volatile("" : "+v"(x))
#elif defined(__aarch64__) && INK_LANES == 8
#define OPAQUE(x)                                                                     \
    {                                                                                 \
        vu all_ = (vu)(x);                                                            \
        uint32_t __attribute__((ext_vector_type(4))) low_ = all_.lo, high_ = all_.hi; \
        __asm__ volatile("" : "+w"(low_), "+w"(high_));                               \
        all_.lo = low_;                                                               \
        all_.hi = high_;                                                              \
        (x) = (__typeof__(x))all_;                                                    \
    }
#elif defined(__aarch64__)
#define OPAQUE(x) __asm__ volatile("" : "+w"(x))
#else
#define OPAQUE(x) ((void)0)
#endif

// A register tile is up to ROWS rows by one panel; a step is 4 bytes of depth (one f32, two bf16 or
// four int8). Every element has one accumulator and one order of summation, so that its sum does
// not depend on the other rows of the tile.
#if defined(INK_ROWS)
enum { ROWS = INK_ROWS };
#elif INK_LANES == 16
enum { ROWS = 12 };
#else
enum { ROWS = 6 };
#endif

// Whether panels hold the words of two steps side by side; see pairs.h.
AI int is_paired(ink_precision precision) {
#ifdef INK_PAIR_INT8
    if (precision == INK_INT8) return 1;
#endif
#ifdef INK_PAIR_BF16
    if (precision == INK_BF16) return 1;
#endif
    (void)precision;
    return 0;
}

// Rearranges a filled panel, or the steps of one tap, for a paired precision.
AI void pair_steps(const ink_precision precision, uint32_t *panel, size_t steps) {
    if (!is_paired(precision)) return;
    for (size_t step = 0; step + 2 <= steps; step += 2, panel += 2 * PANEL) {
        vu x[2], y[2];
        UNROLLED
        for (int half = 0; half < 2; half++) {
            x[half] = *(const vu_u *)(panel + half * LANES);
            y[half] = *(const vu_u *)(panel + half * LANES + PANEL);
        }
        UNROLLED
        for (int half = 0; half < 2; half++) {
            *(vu_u *)(panel + half * PANEL) = INTERLEAVE(x[half], y[half], 0);
            *(vu_u *)(panel + half * PANEL + LANES) = INTERLEAVE(x[half], y[half], LANES / 2);
        }
    }
}

// A word in every lane. Variants whose instructions multiply by one lane of a register define it.
#ifndef INK_SPLAT_WORD
#define INK_SPLAT_WORD(a) ((vu)(a))
#endif

// Two bf16 of `a` times two in each lane of `b`. Variants without the instruction widen both.
AI vf dot_bf16(vf sum, uint32_t a, vu b) {
#ifdef INK_DOT_BF16
    return INK_DOT_BF16(sum, a, b);
#else
    (void)a, (void)b;
    return sum;
#endif
}

// Four unsigned bytes of `a` times four signed bytes in each lane of `b`, added to 32-bit sums.
AI vi dot_int8(vi sum, uint32_t a, vu b) {
#if defined(INK_DOT_INT8)
    return INK_DOT_INT8(sum, a, b);
#else
    for (int i = 0; i < 4; i++)
        sum += (vi)((vu)(a >> 8 * i & 0xffu)) * ((vi)(b << (24 - 8 * i)) >> 24);
    return sum;
#endif
}

AI vf dot_f32(vf sum, uint32_t a, vu b) { return (vf)INK_SPLAT_WORD(a) * (vf)b + sum; }

// Operands were written as other types.
typedef uint32_t __attribute__((may_alias)) word;
#include "halves.h"
#if defined(INK_PAIR_INT8) || defined(INK_PAIR_BF16)
#include "pairs.h"
#endif

// sum[r] += row r (from byte `offset`) times the panel, for `steps` steps. In int8 the lanes hold
// 32-bit integer sums. The copy `acc`, whose every index is a constant, keeps the sums in
// registers: callers index `sum` by variables, and the compiler would store it in every step.
AI void accumulate(const int mr, const ink_precision precision, const void *const *rows,
                   size_t offset, size_t steps, const void *panel, vf sum[][2]) {
#if defined(INK_PAIR_INT8) || defined(INK_PAIR_BF16)
    if (is_paired(precision)) {
        accumulate_pairs(mr, precision, rows, offset, steps, panel, sum);
        return;
    }
#endif
    const uint32_t *b = panel;
    const word *a[ROWS];
    vf acc[ROWS][2];
    UNROLLED
    for (int r = 0; r < mr; r++) {
        a[r] = (const word *)((const char *)rows[r] + offset);
        acc[r][0] = sum[r][0];
        acc[r][1] = sum[r][1];
    }
    for (size_t k = 0; k < steps; k++, b += PANEL) {
        if (is_widened(precision)) {
            step_halves(mr, precision, a, k, b, acc);
            continue;
        }
        vu b0 = *(const vu_u *)b, b1 = *(const vu_u *)(b + LANES);
        UNROLLED
        for (int r = 0; r < mr; r++) {
            uint32_t x = a[r][k];
            if (precision == INK_INT8) {
                acc[r][0] = (vf)dot_int8((vi)acc[r][0], x, b0);
                acc[r][1] = (vf)dot_int8((vi)acc[r][1], x, b1);
            } else if (precision == INK_BF16) {
                acc[r][0] = dot_bf16(acc[r][0], x, b0);
                acc[r][1] = dot_bf16(acc[r][1], x, b1);
            } else {
                acc[r][0] = dot_f32(acc[r][0], x, b0);
                acc[r][1] = dot_f32(acc[r][1], x, b1);
            }
        }
    }
    UNROLLED
    for (int r = 0; r < mr; r++) {
        sum[r][0] = acc[r][0];
        sum[r][1] = acc[r][1];
    }
}

AI void clear_sums(const int mr, vf sum[][2]) {
    UNROLLED
    for (int r = 0; r < mr; r++) sum[r][0] = sum[r][1] = splat(0);
}

// Expands BODY(n) with constant row counts until `count` rows are done; `first` is the current row.
#define FOR_ROW_GROUPS(count, first, BODY)                \
    for (size_t first = 0, left_ = (count); left_ > 0;) { \
        if (left_ >= ROWS) {                              \
            BODY(ROWS);                                   \
            first += ROWS;                                \
            left_ -= ROWS;                                \
        } else if (left_ >= 4) {                          \
            BODY(4);                                      \
            first += 4;                                   \
            left_ -= 4;                                   \
        } else if (left_ >= 2) {                          \
            BODY(2);                                      \
            first += 2;                                   \
            left_ -= 2;                                   \
        } else {                                          \
            BODY(1);                                      \
            first += 1;                                   \
            left_ -= 1;                                   \
        }                                                 \
    }

AI size_t element_size(ink_precision precision) {
    return precision == INK_INT8 ? 1 : precision == INK_BF16 ? 2 : 4;
}
// 4-byte steps along the depth of one tap.
AI size_t depth_steps(size_t depth, ink_precision precision) {
    if (precision == INK_INT8) return ink_padded(depth) / 4;
    return precision == INK_BF16 ? (depth + 1) / 2 : depth;
}
AI size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
AI size_t rounded_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// Stores `count` f32 values as elements of an operand row.
AI void store_operand(const ink_output *out, size_t row, size_t column, vf x, size_t count) {
    if (out->precision == INK_BF16)
        store_bf16((uint16_t *)out->data + row * out->stride + column, x, count);
    else store_some((float *)out->data + row * out->stride + column, x, count);
}

AI void pad_operand(const ink_output *out, size_t row, size_t columns) {
    size_t padded = rounded_up(columns, INK_OPERAND_ALIGN);
    for (size_t k = columns; k < padded && k < out->stride; k++) {
        if (out->precision == INK_BF16) ((uint16_t *)out->data)[row * out->stride + k] = 0;
        else ((float *)out->data)[row * out->stride + k] = 0;
    }
}
