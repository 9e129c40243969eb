// Part of Inkstone. Licence: see LICENSE.

#include <stdio.h>
#include <string.h>

#include "checks.h"

enum { MAX_SEGMENTS = 4 };

typedef struct {
    size_t heads, kv_heads, head_dim;
    int causal;
    size_t lengths[MAX_SEGMENTS], queries[MAX_SEGMENTS];  // no queries given: all tokens
    float factor;                                         // of the queries, 0 for 1
    ink_precision precision;
} attention_case;

static size_t sum_offsets(const size_t *lengths, size_t *offsets) {
    offsets[0] = 0;
    for (size_t s = 0; s < MAX_SEGMENTS; s++) offsets[s + 1] = offsets[s] + lengths[s];
    return offsets[MAX_SEGMENTS];
}

static const size_t *query_lengths(const attention_case *c) {
    for (size_t s = 0; s < MAX_SEGMENTS; s++)
        if (c->queries[s]) return c->queries;
    return c->lengths;
}

static float *attend(const ink_kernels *kernels, ink_pool *pool, const void *parameters) {
    const attention_case *c = parameters;
    size_t offsets[MAX_SEGMENTS + 1], queries[MAX_SEGMENTS + 1];
    size_t tokens = sum_offsets(c->lengths, offsets);
    size_t query_count = sum_offsets(query_lengths(c), queries);
    size_t own = c->heads * c->head_dim, shared = c->kv_heads * c->head_dim;
    // Unused numbers beside the heads of a token are NaN.
    size_t stride = own + 2 * shared + 3;
    float *qkv = allocate(tokens * stride * sizeof *qkv);
    const float *data = numbers(tokens * (stride - 3), 12);
    for (size_t row = 0; row < tokens; row++)
        for (size_t i = 0; i < stride - 3; i++)
            qkv[row * stride + i] =
                data[row * (stride - 3) + i] * (i < own && c->factor > 0 ? c->factor : 1);
    matrix out = make_matrix(query_count, own, c->precision);
    ink_attention attention = {
        .q = qkv,
        .k = qkv + own,
        .v = qkv + own + shared,
        .stride = stride,
        .heads = c->heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .offsets = offsets,
        .queries = queries,
        .segments = MAX_SEGMENTS,
        .causal = c->causal,
        .scale = 1 / (float)c->head_dim,
        .precision = c->precision,
        .out = output_of(&out),
        .scratch =
            allocate(kernels->attention_scratch(ink_pool_threads(pool), tokens, MAX_SEGMENTS,
                                                c->heads, c->kv_heads, c->head_dim, c->precision)),
    };
    kernels->attend(pool, &attention);
    return read_matrix(kernels, &out);
}

// A sequence alone has the bits that it has in the batch.
static void check_alone(const subject *s, const attention_case *batch) {
    size_t wide = batch->heads * batch->head_dim, row = 0;
    const float *all = attend(s->fast, s->two, batch);
    for (size_t i = 0; i < MAX_SEGMENTS; i++) {
        size_t count = query_lengths(batch)[i];
        // The data of a sequence depends on its place, so that only the first has the same alone.
        if (i == 0 && count > 0) {
            attention_case alone = *batch;
            memset(alone.lengths + 1, 0, sizeof alone.lengths - sizeof alone.lengths[0]);
            memset(alone.queries + 1, 0, sizeof alone.queries - sizeof alone.queries[0]);
            const float *got = attend(s->fast, s->one, &alone);
            check(memcmp(got, all + row * wide, count * wide * sizeof *got) == 0,
                  "%s %d: the first sequence alone has other bits", s->fast->name,
                  (int)s->precision);
        }
        row += count;
    }
    release_all("attention alone");
}

void check_attention(const subject *s) {
    if (s->precision == INK_INT8) return;
    static const attention_case cases[] = {{1, 1, 2, 0, {1}, {0}, 0, 0},
                                           {3, 3, 10, 0, {5, 33, 64}, {0}, 0, 0},
                                           {4, 2, 16, 1, {1, 70, 49}, {0}, 0, 0},
                                           {1, 1, 33, 0, {31, 32, 33}, {0}, 0, 0},
                                           {2, 1, 6, 0, {481, 0, 3, 482}, {2, 0, 3, 40}, 0, 0},
                                           {1, 1, 32, 0, {90}, {0}, 60, 0},
                                           {2, 1, 24, 1, {530}, {0}, 0, 0},
                                           {4, 1, 64, 1, {40, 3, 200}, {0}, 0, 0},
                                           {2, 2, 128, 0, {480, 481}, {17, 40}, 0, 0},
                                           {1, 1, 96, 0, {130}, {0}, 0, 0}};
    size_t count = s->is_short ? 6 : sizeof cases / sizeof cases[0];
    for (size_t i = 0; i < count; i++) {
        attention_case c = cases[i];
        c.precision = s->precision;
        size_t offsets[MAX_SEGMENTS + 1], rows = sum_offsets(query_lengths(&c), offsets);
        char name[64];
        snprintf(name, sizeof name, "attention %zu heads of %zu%s", c.heads, c.head_dim,
                 c.causal ? ", causal" : "");
        // Large scores: rounding in f32 is 1e-5, which the exponential preserves. bf16 weights are
        // rounded once more than the twin's.
        double scale = s->precision == INK_BF16 ? 1200 : c.factor > 0 ? 200 : 20;
        compare(s, name, attend, &c, rows * c.heads * c.head_dim, tolerance_of(s, scale));
        if (c.lengths[1]) check_alone(s, &c);
    }
}
