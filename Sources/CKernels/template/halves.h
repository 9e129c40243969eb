// Part of Inkstone. Licence: see LICENSE.
//
// Register tiles in precisions for which the processor has no instruction. Each 4-byte word of a
// factor is widened to two words, of f32 values or of pairs of 16-bit integers (sums of two
// products of bytes would saturate in 16 bits): those of a panel on the way into the registers,
// where all rows of a tile use them, and those of the rows there too, or before; see wide.h.

// Whether products in this precision widen their factors.
AI int is_widened(const ink_precision precision) {
#if defined(INK_MADD_16) && !defined(INK_DOT_INT8)
    if (precision == INK_INT8) return 1;
#endif
    return precision == INK_BF16 && !INK_NATIVE_BF16;
}

// The first or second words of a panel's vector: bytes 0 and 2, or 1 and 3; the lower or the upper
// number of a pair in bf16.
AI vu widen_panel(const ink_precision precision, const int second, vu b) {
    typedef int16_t vs __attribute__((ext_vector_type(2 * LANES)));
    if (precision == INK_INT8) return second ? (vu)((vs)b >> 8) : (vu)((vs)b << 8 >> 8);
    return second ? b & 0xffff0000u : b << 16;
}

// The same of a row's word, in every lane. Bytes of rows are unsigned.
AI vu widen_word(const ink_precision precision, const int second, uint32_t a) {
#ifdef INK_SPLAT_HALF
    if (precision == INK_BF16) return INK_SPLAT_HALF(a, second);
#endif
    vu x = (vu)(a);
    // Else the compiler widens the word in a general register, and broadcasts it from there.
    OPAQUE(x);
    if (precision == INK_INT8) return (second ? x >> 8 : x) & 0x00ff00ffu;
    return second ? x & 0xffff0000u : x << 16;
}

AI vf multiply_wide(const ink_precision precision, vf sum, vu a, vu b) {
#ifdef INK_MADD_16
    if (precision == INK_INT8) return (vf)((vi)sum + (vi)INK_MADD_16(a, b));
#endif
    (void)precision;
    return (vf)a * (vf)b + sum;
}

// Keeps the compiler from beginning all rows before it ends one, where the sums would go through
// memory.
#ifdef INK_FREE_ORDER
#define IN_ORDER(sums) ((void)0)
#else
#define IN_ORDER(sums)   \
    {                    \
        OPAQUE(sums[0]); \
        OPAQUE(sums[1]); \
    }
#endif

// A step of `accumulate`: the first words of all rows, then the second, so that half of the widened
// panel is in registers at a time.
AI void step_halves(const int mr, const ink_precision precision, const word *const *a, size_t k,
                    const uint32_t *b, vf acc[][2]) {
    UNROLLED
    for (int second = 0; second < 2; second++) {
        vu b0 = widen_panel(precision, second, *(const vu_u *)b);
        vu b1 = widen_panel(precision, second, *(const vu_u *)(b + LANES));
        UNROLLED
        for (int r = 0; r < mr; r++) {
            vu x = widen_word(precision, second, a[r][k]);
            acc[r][0] = multiply_wide(precision, acc[r][0], x, b0);
            acc[r][1] = multiply_wide(precision, acc[r][1], x, b1);
            IN_ORDER(acc[r]);
        }
    }
}
