// Part of Inkstone. Licence: see LICENSE.
//
// Norms, conversions and activations.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"

typedef struct {
    size_t dim;
    ink_precision precision;
    int kind;  // of the norm, rotation or conversion
} row_case;

enum { ROWS = 24, SEGMENTS = 3 };
static const size_t offsets[SEGMENTS + 1] = {0, 3, 23, 24};

static float *norm(const ink_kernels *kernels, ink_pool *pool, const void *parameters) {
    const row_case *c = parameters;
    int32_t non_finite = -1;
    matrix out = make_matrix(ROWS, c->dim, c->precision);
    ink_norm norm = {.x = numbers(ROWS * c->dim, 13),
                     .rows = ROWS,
                     .dim = c->dim,
                     .centred = c->kind,
                     .weight = numbers(c->dim, 15),
                     .epsilon = 1e-5f,
                     .scale = numbers(SEGMENTS * 2 * c->dim, 14) + c->dim,
                     .scale_stride = 2 * c->dim,
                     .offsets = offsets,
                     .segments = SEGMENTS,
                     .out = output_of(&out),
                     .non_finite = &non_finite};
    // The last segment's vector ends where the memory does.
    kernels->norm(pool, &norm);
    check(non_finite == -1, "%s: a norm reports row %d", kernels->name, (int)non_finite);
    return read_matrix(kernels, &out);
}

static float *add_norm(const ink_kernels *kernels, ink_pool *pool, const void *parameters) {
    const row_case *c = parameters;
    int32_t non_finite = -1;
    float *x = numbers(ROWS * c->dim, 16);
    ink_add_norm norm = {
        x,          numbers(ROWS * c->dim, 17),     ROWS,   c->dim,  numbers(c->dim, 19),
        1e-5f,      numbers(SEGMENTS * c->dim, 18), c->dim, offsets, SEGMENTS,
        &non_finite};
    kernels->add_norm(pool, &norm);
    return x;
}

static float *head_norm(const ink_kernels *kernels, ink_pool *pool, const void *parameters) {
    const row_case *c = parameters;
    enum { TOKENS = 19, HEADS = 3 };
    int32_t non_finite = -1;
    float *x = numbers(TOKENS * (HEADS + 1) * c->dim, 20);
    ink_head_norm norm = {.x = x + c->dim,
                          .stride = (HEADS + 1) * c->dim,
                          .tokens = TOKENS,
                          .heads = HEADS,
                          .head_dim = c->dim,
                          .weight = numbers(c->dim, 23),
                          .epsilon = 1e-6f,
                          .cosines = numbers(TOKENS * c->dim / 2, 21),
                          .sines = numbers(TOKENS * c->dim / 2, 22),
                          .interleaved = c->kind,
                          .non_finite = &non_finite};
    kernels->head_norm(pool, &norm);
    return x;
}

// From f32 or, with a kind of 1, from bf16.
static float *convert(const ink_kernels *kernels, ink_pool *pool, const void *parameters) {
    const row_case *c = parameters;
    const void *from = numbers(ROWS * c->dim, 27);
    if (c->kind) {
        uint16_t *narrow = allocate(ROWS * c->dim * sizeof *narrow);
        for (size_t i = 0; i < ROWS * c->dim; i++)
            narrow[i] = ink_bf16_from_f32(((const float *)from)[i]);
        from = narrow;
    }
    matrix out = make_matrix(ROWS, c->dim, c->precision);
    ink_convert convert = {
        from, c->kind ? INK_BF16 : INK_F32, ROWS, c->dim, c->dim, 0.375f, output_of(&out)};
    kernels->convert(pool, &convert);
    return read_matrix(kernels, &out);
}

static float *apply_silu(const ink_kernels *kernels, ink_pool *pool, const void *parameters) {
    (void)pool;
    const row_case *c = parameters;
    float *x = numbers(c->dim, 40);
    for (size_t i = 0; i < c->dim; i++) x[i] *= (float)(i % 60);
    kernels->silu(x, c->dim);
    return x;
}

// bf16 of every kind of number, as the twin rounds it.
static void check_bf16(const subject *s) {
    enum { COUNT = 1 << 12 };
    uint32_t *bits = allocate(COUNT * sizeof *bits);
    for (uint32_t i = 0; i < COUNT; i++)
        // All exponents and signs; ties, neighbours of ties and the largest fractions.
        bits[i] = (i >> 3) << 23 | (const uint32_t[]){0,      1,       0x7fff,   0x8000,
                                                      0x8001, 0x18000, 0x7f8000, 0x7fffff}[i % 8];
    matrix operand = make_matrix(1, COUNT, INK_BF16);
    ink_convert convert = {bits, INK_F32, 1, COUNT, COUNT, 1, output_of(&operand)};
    s->fast->convert(s->one, &convert);
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT; i++) {
        float x;
        memcpy(&x, bits + i, 4);
        uint16_t want = ink_bf16_from_f32(x), got = ((uint16_t *)operand.data)[i];
        // VCVTNEPS2BF16 flushes denormal numbers.
        int is_denormal = (bits[i] & 0x7f800000) == 0;
        wrong += is_denormal ? (got & 0x7fff) > 0x80 : got != want;
    }
    check(wrong == 0, "%s: %zu of %d numbers are rounded to bf16 otherwise", s->fast->name, wrong,
          COUNT);
    release_all("bf16");
}

static void check_reports(const subject *s) {
    enum { DIM = 40, COUNT = 50 };
    float *x = numbers(COUNT * DIM, 28);
    x[33 * DIM + 7] = INFINITY;
    x[21 * DIM + 39] = NAN;
    int32_t non_finite = -1;
    matrix out = make_matrix(COUNT, DIM, s->precision);
    ink_norm norm = {.x = x,
                     .rows = COUNT,
                     .dim = DIM,
                     .epsilon = 1e-5f,
                     .out = output_of(&out),
                     .non_finite = &non_finite};
    s->fast->norm(s->two, &norm);
    check(non_finite == 21, "%s: the norm reports row %d, not 21", s->fast->name, (int)non_finite);
    release_all("reports");
}

static size_t converted(const row_case *c) {
    size_t unit = c->precision == INK_INT8 ? INK_OPERAND_ALIGN : 1;
    return ROWS * ((c->dim + unit - 1) / unit * unit);
}

void check_rows(const subject *s) {
    static const size_t dims[] = {1, 7, 33, 100, 288, 1000};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        if (s->is_short && i > 4) break;
        for (int kind = 0; kind < 2; kind++) {
            row_case c = {dims[i], s->precision, kind};
            // The layer norm of a single value is rounding noise over epsilon.
            if (c.dim > 1 || kind == 0)
                compare(s, "norm", norm, &c, converted(&c), rounded_tolerance(s, 4));
            compare(s, "conversion", convert, &c, converted(&c), 0);
        }
        row_case c = {dims[i], s->precision, 0};
        compare(s, "add norm", add_norm, &c, ROWS * c.dim, tolerance_of(s, 4));
        if (s->precision == INK_F32) compare(s, "SiLU", apply_silu, &c, c.dim, tolerance_of(s, 4));
    }
    static const size_t head_dims[] = {2, 16, 30, 66, 128};
    for (size_t i = 0; i < sizeof head_dims / sizeof head_dims[0]; i++)
        for (int kind = 0; kind < 2; kind++) {
            row_case c = {head_dims[i], s->precision, kind};
            compare(s, "head norm", head_norm, &c, 19 * 4 * c.dim, tolerance_of(s, 8));
        }
    check_bf16(s);
    check_reports(s);
}
