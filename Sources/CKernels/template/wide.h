// Part of Inkstone. Licence: see LICENSE.
//
// Products in precisions for which the processor has no instruction. Each 4-byte word of a factor
// is widened to two words, of f32 values or of pairs of 16-bit integers: those of a panel on the
// way into the registers, where all rows of a tile use them, and those of the rows once for all
// panels of a block.

enum {
    /// Steps widened at a time: the rows of a block (98 KiB) stay in the L2 cache, a panel's part
    /// (8 KiB at 8 lanes) in the L1 cache.
    WIDE_STEPS = 128,
    /// Words from one widened row to the next: rows are not a power of two apart.
    WIDE_PITCH = 2 * WIDE_STEPS + 16,
    /// Fewer rows of a block are not worth it: their weights come from memory, which is fastest at
    /// long distances.
    WIDE_ROWS_BF16 = 24,
    WIDE_ROWS_INT8 = 64,
};

#ifndef INK_WIDEN_BF16
#define INK_WIDEN_BF16 !INK_NATIVE_BF16
#endif

// Whether products in this precision widen their factors.
AI int is_widened(const ink_precision precision) {
#if defined(INK_MADD_16) && !defined(INK_DOT_INT8)
    if (precision == INK_INT8) return 1;
#endif
    return precision == INK_BF16 && INK_WIDEN_BF16;
}

// The two words of each of `steps` words: bytes 0 and 2, then 1 and 3, of unsigned bytes; the lower
// number, then the upper, of a pair in bf16.
AI void widen_row(const ink_precision precision, const void *from, size_t steps, uint32_t *to) {
    typedef vu __attribute__((aligned(4), may_alias)) words;
    const word *x = from;
    uint32_t mask = precision == INK_INT8 ? 0x00ff00ffu : 0xffff0000u;
    size_t k = 0;
    for (; k + LANES <= steps; k += LANES) {
        vu both = *(const words *)(x + k);
        vu first = precision == INK_INT8 ? both & mask : both << 16;
        vu second = precision == INK_INT8 ? both >> 8 & mask : both & mask;
        *(vu_u *)(to + 2 * k) = INTERLEAVE(first, second, 0);
        *(vu_u *)(to + 2 * k + LANES) = INTERLEAVE(first, second, LANES / 2);
    }
    for (; k < steps; k++) {
        to[2 * k] = precision == INK_INT8 ? x[k] & mask : x[k] << 16;
        to[2 * k + 1] = precision == INK_INT8 ? x[k] >> 8 & mask : x[k] & mask;
    }
}

// The first or second words of a panel's vector, as those of a row.
AI vu widen_panel(const ink_precision precision, const int second, vu b) {
    typedef int16_t vs __attribute__((ext_vector_type(2 * LANES)));
    if (precision == INK_INT8) return second ? (vu)((vs)b >> 8) : (vu)((vs)b << 8 >> 8);
    return second ? b & 0xffff0000u : b << 16;
}

AI vf dot_wide(const ink_precision precision, vf sum, uint32_t a, vu b) {
#ifdef INK_MADD_16
    if (precision == INK_INT8) return (vf)((vi)sum + (vi)INK_MADD_16((vu)(a), b));
#endif
    (void)precision;
    return dot_f32(sum, a, b);
}

// As `accumulate`, with rows of two words a step. The order of additions is the same.
AI void accumulate_wide(const int mr, const ink_precision precision, const uint32_t *rows,
                        size_t pitch, size_t steps, const uint32_t *panel, vf sum[][2]) {
    vf acc[ROWS][2];
    UNROLLED
    for (int r = 0; r < mr; r++) {
        acc[r][0] = sum[r][0];
        acc[r][1] = sum[r][1];
    }
    for (size_t k = 0; k < steps; k++, panel += PANEL) {
        UNROLLED
        for (int second = 0; second < 2; second++) {
            vu b0 = widen_panel(precision, second, *(const vu_u *)panel);
            vu b1 = widen_panel(precision, second, *(const vu_u *)(panel + LANES));
            UNROLLED
            for (int r = 0; r < mr; r++) {
                uint32_t a = rows[(size_t)r * pitch + 2 * k + (size_t)second];
                acc[r][0] = dot_wide(precision, acc[r][0], a, b0);
                acc[r][1] = dot_wide(precision, acc[r][1], a, b1);
                // Else the compiler begins all rows before it ends one, and the sums go through
                // memory.
                OPAQUE(acc[r][0]);
                OPAQUE(acc[r][1]);
            }
        }
    }
    UNROLLED
    for (int r = 0; r < mr; r++) {
        sum[r][0] = acc[r][0];
        sum[r][1] = acc[r][1];
    }
}
