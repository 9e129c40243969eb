// Part of Inkstone. Licence: see LICENSE.
//
// Adapter terms, added to a tile whose sums are complete: low-rank products over the rows of each
// adapter. The adapters of a row are added in list order, independent of the other rows, so that a
// row has the same bits in every batch.

AI size_t larger(size_t a, size_t b) { return a > b ? a : b; }

AI void add_low_rank(const ink_precision precision, const ink_adapter *adapter, size_t row,
                     size_t count, size_t panel, vf sum[][2]) {
    ink_adapter_panel place = adapter->table[panel];
    const void *rows[ROWS];
    size_t pitch = adapter->t.stride * element_size(precision);
    const char *t =
        (const char *)adapter->t.data + (row - adapter->first) * pitch + place.first * 4;
    for (size_t i = 0; i < count; i++) rows[i] = t + i * pitch;
    const uint32_t *weights = (const uint32_t *)adapter->panels + place.offset;
#define TILE(N) accumulate(N, precision, rows + at, 0, place.steps, weights, sum + at);
    FOR_ROW_GROUPS(count, at, TILE)
#undef TILE
}

// Rows [row, row + count) of one panel; out of line, since most products have no adapters.
static __attribute__((noinline)) void add_adapters(const ink_adapter *adapters,
                                                   size_t adapter_count, size_t row, size_t count,
                                                   size_t panel, vf sum[][2]) {
    size_t column = panel * PANEL, end = row + count;
    // Gains apply to the product without adapters, so they come first.
    for (size_t r = row; r < end; r++) {
        vf g0 = splat(1), g1 = splat(1);
        int gains = 0;
        for (size_t i = 0; i < adapter_count; i++) {
            const ink_adapter *s = &adapters[i];
            if (!s->gain || r < s->first || r >= s->first + s->count) continue;
            g0 += s->scale * load(s->gain + column);
            g1 += s->scale * load(s->gain + column + LANES);
            gains = 1;
        }
        if (!gains) continue;
        sum[r - row][0] *= g0;
        sum[r - row][1] *= g1;
    }
    for (size_t i = 0; i < adapter_count; i++) {
        const ink_adapter *s = &adapters[i];
        size_t from = larger(row, s->first), to = smaller(end, s->first + s->count);
        if (from >= to) continue;
        if (s->table && s->table[panel].steps > 0) {
            if (s->precision == INK_BF16)
                add_low_rank(INK_BF16, s, from, to - from, panel, sum + (from - row));
            else add_low_rank(INK_F32, s, from, to - from, panel, sum + (from - row));
        }
        if (!s->addend) continue;
        for (size_t r = from; r < to; r++) {
            const float *add = s->addend + (r - s->first) * s->addend_stride + column;
            sum[r - row][0] += s->scale * load(add);
            sum[r - row][1] += s->scale * load(add + LANES);
        }
    }
}
