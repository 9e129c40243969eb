// Part of Inkstone. Licence: see LICENSE.
//
// Matrix products: plain, gated, with adapters, and the bits of int8.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"

typedef struct {
    size_t rows, depth, columns;
    ink_precision precision;
    int is_gated, is_bare;
    size_t first, count;  // rows that are computed; all if count is 0
    int adapters;         // bits: 1 low rank, 2 gain, 4 addend
} product_case;

enum { RANK = 6, MAX_ADAPTERS = 3 };

// Rows of the product that each adapter changes: they start and end inside of tiles.
static const size_t adapter_rows[MAX_ADAPTERS][2] = {{1, 1}, {5, 26}, {17, 28}};

static ink_adapter make_adapter(const ink_kernels *kernels, ink_pool *pool, const product_case *c,
                                int index, size_t panels) {
    size_t width = 2 * (size_t)kernels->lanes, seed = 100 + 10 * (size_t)index;
    ink_precision precision = c->precision == INK_INT8 ? INK_F32 : c->precision;
    size_t words = precision == INK_BF16 ? RANK / 2 : RANK;
    ink_adapter adapter = {.first = adapter_rows[index][0],
                           .count = adapter_rows[index][1],
                           .scale = 0.5f - (float)index,
                           .precision = precision};
    float *t = numbers(adapter.count * RANK, (uint32_t)seed);
    matrix down = make_operand(kernels, pool, t, adapter.count, RANK, precision);
    adapter.t = operand_of(&down);
    if (c->adapters & 1) {
        // One panel is left unchanged.
        uint32_t *memory = allocate(panels * words * width * 4);
        ink_adapter_panel *table = allocate(panels * sizeof *table);
        for (size_t panel = 0; panel < panels; panel++) {
            size_t skipped = panels > 2 && panel == 1;
            table[panel] = (ink_adapter_panel){(uint32_t)(panel * words * width), 0,
                                               skipped ? 0 : (uint32_t)words};
            const float *up = numbers(width * RANK, (uint32_t)(seed + 1));
            const void *rows[32];
            for (size_t i = 0; i < width; i++) rows[i] = up + i * RANK;
            ink_pack pack = {rows, width, INK_SOURCE_F32, RANK,
                             1,    width, precision,      memory + table[panel].offset};
            kernels->pack(pool, &pack);
        }
        adapter.panels = memory;
        adapter.table = table;
    }
    if (c->adapters & 2) adapter.gain = numbers(panels * width, (uint32_t)(seed + 2));
    if (c->adapters & 4) {
        adapter.addend_stride = panels * width;
        adapter.addend = numbers(adapter.count * panels * width, (uint32_t)(seed + 3));
    }
    return adapter;
}

static float *multiply(const ink_kernels *kernels, ink_pool *pool, const void *parameters) {
    const product_case *c = parameters;
    size_t count = c->count ? c->count : c->rows, wide = c->is_gated ? c->columns / 2 : c->columns;
    const float *x = numbers(c->rows * c->depth, 3) + c->first * c->depth;
    matrix a = make_operand(kernels, pool, x, count, c->depth, c->precision);
    ink_product product = {
        .a = operand_of(&a),
        .rows = count,
        .b = pack_weights(kernels, pool, numbers(c->columns * c->depth, 1), c->columns, c->depth, 1,
                          c->precision, c->is_gated, c->is_bare ? NULL : numbers(c->columns, 2)),
        .swiglu = c->is_gated,
    };
    ink_adapter adapters[MAX_ADAPTERS];
    if (c->adapters) {
        size_t lanes = (size_t)kernels->lanes, part = c->is_gated ? lanes : 2 * lanes;
        for (int i = 0; i < MAX_ADAPTERS; i++)
            adapters[i] = make_adapter(kernels, pool, c, i, (wide + part - 1) / part);
        product.adapters = adapters;
        product.adapter_count = MAX_ADAPTERS;
    }
    if (c->is_gated) {
        matrix out = make_matrix(count, wide, c->precision == INK_INT8 ? INK_F32 : c->precision);
        product.out = output_of(&out);
        kernels->product(pool, &product);
        return read_matrix(kernels, &out);
    }
    if (!c->is_bare) {
        product.residual = numbers(c->rows * c->columns, 4) + c->first * c->columns;
        product.residual_stride = c->columns;
    }
    float *out = allocate(count * c->columns * sizeof *out);
    product.out = (ink_output){out, c->columns, INK_F32};
    kernels->product(pool, &product);
    return out;
}

// Some rows alone have the bits that they have in the whole.
static void check_row_groups(const subject *s, const product_case *whole) {
    size_t wide = whole->is_gated ? whole->columns / 2 : whole->columns;
    float *all = multiply(s->fast, s->one, whole);
    for (size_t count = 1; count <= 7 && count < whole->rows; count++) {
        product_case some = *whole;
        some.count = count;
        some.first = whole->rows - count - 1;
        float *part = multiply(s->fast, s->one, &some);
        check(memcmp(part, all + some.first * wide, count * wide * sizeof *part) == 0,
              "%s %d: %zu rows alone have other bits", s->fast->name, (int)s->precision, count);
    }
    release_all("rows alone");
}

void check_products(const subject *s) {
    static const size_t sizes[][3] = {{1, 1, 1},     {3, 5, 7},       {1, 35, 40},  {7, 64, 1},
                                      {13, 33, 65},  {12, 32, 64},    {64, 97, 29}, {5, 4133, 20},
                                      {97, 130, 31}, {200, 300, 100}, {64, 97, 290}};
    size_t count = s->is_short ? 8 : sizeof sizes / sizeof sizes[0];
    for (size_t i = 0; i < count; i++) {
        product_case c = {sizes[i][0], sizes[i][1], sizes[i][2], .precision = s->precision};
        double scale = sqrt((double)c.depth) / 2 + 1;
        char name[64];
        snprintf(name, sizeof name, "product %zu x %zu x %zu", c.rows, c.depth, c.columns);
        compare(s, name, multiply, &c, c.rows * c.columns, tolerance_of(s, scale));
        check_row_groups(s, &c);
    }
    static const size_t gated[][3] = {{1, 3, 5}, {14, 40, 50}, {30, 64, 170}};
    for (size_t i = 0; i < (s->is_short ? 2 : 3); i++) {
        product_case c = {gated[i][0], gated[i][1], 2 * gated[i][2], .precision = s->precision,
                          .is_gated = 1};
        char name[64];
        snprintf(name, sizeof name, "SwiGLU %zu x %zu x %zu", c.rows, c.depth, c.columns / 2);
        compare(s, name, multiply, &c, c.rows * c.columns / 2, rounded_tolerance(s, 20));
    }
}

void check_adapters(const subject *s) {
    for (int kinds = 1; kinds < 8; kinds++) {
        if (s->is_short && kinds != 1 && kinds != 7) continue;
        product_case c = {45, 67, 70, .precision = s->precision, .adapters = kinds};
        char name[64];
        snprintf(name, sizeof name, "adapters %d", kinds);
        // The down-projected rows are rounded to bf16, in either direction.
        compare(s, name, multiply, &c, c.rows * c.columns, s->precision == INK_F32 ? 2e-5 : 1.5e-2);
        c.is_gated = 1;
        compare(s, name, multiply, &c, c.rows * c.columns / 2,
                s->precision == INK_F32 ? 2e-5 : 1.5e-2);
    }
}

// MARK: - int8

static void add_to_digest(const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        int8_digest = (int8_digest ^ bits) * 0x100000001b3u;
    }
}

// One row that is NaN, or a single outlier, changes no other row.
static void check_bad_row(const subject *s) {
    enum { ROWS = 15, DEPTH = 70, COLUMNS = 35, BAD = 7 };
    float *results[2];
    for (int bad = 0; bad < 2; bad++) {
        float *x = numbers(ROWS * DEPTH, 35);
        if (bad) x[BAD * DEPTH + 3] = NAN;
        matrix a = make_operand(s->fast, s->two, x, ROWS, DEPTH, s->precision);
        results[bad] = allocate(ROWS * COLUMNS * sizeof(float));
        ink_product product = {.a = operand_of(&a),
                               .rows = ROWS,
                               .b = pack_weights(s->fast, s->two, numbers(COLUMNS * DEPTH, 36),
                                                 COLUMNS, DEPTH, 1, s->precision, 0, NULL),
                               .out = {results[bad], COLUMNS, INK_F32}};
        s->fast->product(s->two, &product);
    }
    for (size_t row = 0; row < ROWS; row++) {
        const float *clean = results[0] + row * COLUMNS, *got = results[1] + row * COLUMNS;
        int is_right = 1;
        for (size_t i = 0; i < COLUMNS; i++)
            is_right &= row == BAD ? !isfinite(got[i]) : memcmp(got + i, clean + i, 4) == 0;
        check(is_right, "%s %d: row %zu beside a row of NaN", s->fast->name, (int)s->precision,
              row);
    }
    release_all("a row of NaN");
}

// The largest sums: a constant rotates to one value of 127 in each group.
static void check_largest_sums(const subject *s) {
    enum { DEPTH = 16384 };
    float *x = allocate(2 * DEPTH * sizeof *x);
    for (size_t i = 0; i < DEPTH; i++) {
        x[i] = i % 256 == 0 ? 1 : 0;
        x[DEPTH + i] = -x[i];
    }
    matrix a = make_operand(s->fast, s->one, x, 2, DEPTH, INK_INT8);
    float out[2];
    ink_product product = {.a = operand_of(&a),
                           .rows = 2,
                           .b = pack_weights(s->fast, s->one, x, 1, DEPTH, 1, INK_INT8, 0, NULL),
                           .out = {out, 1, INK_F32}};
    s->fast->product(s->one, &product);
    check(fabsf(out[0] - 64) < 0.01f && fabsf(out[1] + 64) < 0.01f, "%s: largest sums %g %g",
          s->fast->name, (double)out[0], (double)out[1]);
    release_all("largest sums");
}

void check_int8(const subject *s) {
    check_bad_row(s);
    if (s->precision != INK_INT8) return;
    check_largest_sums(s);
    static const size_t sizes[][3] = {
        {1, 1, 1}, {5, 33, 70}, {30, 288, 40}, {14, 1280, 65}, {2, INK_INT8_MAX_DEPTH, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        product_case c = {sizes[i][0], sizes[i][1], sizes[i][2], .precision = INK_INT8};
        add_to_digest(multiply(s->fast, s->one, &c), c.rows * c.columns);
        release_all("digest");
        // Sums are exact: the twin differs by the rounding of the last operations alone.
        compare(s, "int8 product", multiply, &c, c.rows * c.columns, 2e-6);
    }
}
