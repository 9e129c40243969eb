// Part of Inkstone. Licence: see LICENSE.
//
// Products of many rows in precisions for which the processor has no instruction: the rows are
// widened once for all panels of a block. See halves.h.

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
                acc[r][0] = multiply_wide(precision, acc[r][0], INK_SPLAT_WORD(a), b0);
                acc[r][1] = multiply_wide(precision, acc[r][1], INK_SPLAT_WORD(a), b1);
                IN_ORDER(acc[r]);
            }
        }
    }
    UNROLLED
    for (int r = 0; r < mr; r++) {
        sum[r][0] = acc[r][0];
        sum[r][1] = acc[r][1];
    }
}
