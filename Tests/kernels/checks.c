// Part of Inkstone. Licence: see LICENSE.

#include "checks.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t check_count, failure_count;
uint64_t int8_digest;

void check(int holds, const char *format, ...) {
    check_count++;
    if (holds) return;
    failure_count++;
    if (failure_count > 40) return;
    va_list arguments;
    va_start(arguments, format);
    printf("FAILED: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

// MARK: - Memory

enum { GUARD = 512, MAX_BLOCKS = 4096 };

static struct {
    unsigned char *start;
    size_t bytes;
} blocks[MAX_BLOCKS];
static size_t block_count;

void *allocate(size_t bytes) {
    unsigned char *start = aligned_alloc(64, (bytes + 2 * GUARD + 63) / 64 * 64);
    if (!start || block_count == MAX_BLOCKS) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    // Every f32 and bf16 number is NaN.
    memset(start, 0xff, bytes + 2 * GUARD);
    blocks[block_count].start = start;
    blocks[block_count++].bytes = bytes;
    return start + GUARD;
}

void release_all(const char *name) {
    size_t written = block_count;
    for (size_t i = 0; i < block_count; i++) {
        const unsigned char *start = blocks[i].start, *rear = start + GUARD + blocks[i].bytes;
        int is_intact = 1;
        for (size_t k = 0; k < GUARD; k++) is_intact &= start[k] == 0xff && rear[k] == 0xff;
        if (!is_intact) written = i;
        free(blocks[i].start);
    }
    check(written == block_count, "%s: memory beside block %zu of %zu bytes was written", name,
          written, written == block_count ? 0 : blocks[written].bytes);
    block_count = 0;
}

// MARK: - Data

float *numbers(size_t count, uint32_t seed) {
    float *out = allocate(count * sizeof *out);
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        // Uniform in -1...1, times the square root of 3.
        out[i] = (float)((int32_t)(state >> 32) >> 8) * 0x1p-23f * 1.7320508f;
    }
    return out;
}

static size_t element_bytes(ink_precision precision) {
    return precision == INK_INT8 ? 1 : precision == INK_BF16 ? 2 : 4;
}

static size_t padded(size_t columns) {
    return (columns + INK_OPERAND_ALIGN - 1) / INK_OPERAND_ALIGN * INK_OPERAND_ALIGN;
}

matrix make_matrix(size_t rows, size_t columns, ink_precision precision) {
    // Eight unused elements between rows.
    size_t stride = padded(columns) + 8;
    return (matrix){allocate(rows * stride * element_bytes(precision)), rows, columns, stride,
                    precision};
}

ink_output output_of(const matrix *to) { return (ink_output){to->data, to->stride, to->precision}; }

ink_operand operand_of(const matrix *from) { return (ink_operand){from->data, from->stride}; }

matrix make_operand(const ink_kernels *kernels, ink_pool *pool, const float *x, size_t rows,
                    size_t columns, ink_precision precision) {
    matrix to = make_matrix(rows, columns, precision);
    ink_convert convert = {x, INK_F32, rows, columns, columns, 1, output_of(&to)};
    kernels->convert(pool, &convert);
    return to;
}

// The byte of a zero: 128, or 0 where activations are signed.
static int int8_offset(const ink_kernels *kernels) {
    static const float zero[1];
    ink_pool *pool = ink_pool_create(1);
    uint8_t row[64];
    ink_convert convert = {zero, INK_F32, 1, 1, 1, 1, {row, 64, INK_INT8}};
    kernels->convert(pool, &convert);
    ink_pool_destroy(pool);
    return row[0];
}

static float element(const matrix *from, size_t row, size_t column, int offset) {
    size_t at = row * from->stride + column;
    if (from->precision == INK_F32) return ((const float *)from->data)[at];
    if (from->precision == INK_BF16) return ink_f32_from_bf16(((const uint16_t *)from->data)[at]);
    const uint8_t *bytes = (const uint8_t *)from->data + row * from->stride;
    float scale;
    memcpy(&scale, bytes + padded(from->columns), 4);
    return (float)(int8_t)(bytes[column] - offset) * scale;
}

float *read_matrix(const ink_kernels *kernels, const matrix *from) {
    size_t columns = from->columns, size = element_bytes(from->precision);
    // Quantised rows are rotated: all elements, padding included, are compared.
    int is_int8 = from->precision == INK_INT8, offset = is_int8 ? int8_offset(kernels) : 0;
    size_t count = is_int8 ? padded(columns) : columns;
    float *out = allocate(from->rows * count * sizeof *out);
    int is_zero = 1, is_untouched = 1;
    for (size_t row = 0; row < from->rows; row++) {
        for (size_t i = 0; i < count; i++) out[row * count + i] = element(from, row, i, offset);
        for (size_t i = count; i < padded(columns); i++) is_zero &= element(from, row, i, 0) == 0;
        size_t end = (padded(columns) + (is_int8 ? INK_INT8_ROW_EXTRA : 0)) * size;
        const unsigned char *bytes = (const unsigned char *)from->data + row * from->stride * size;
        for (size_t i = end; i < from->stride * size; i++) is_untouched &= bytes[i] == 0xff;
    }
    check(is_zero, "%s: the padding of %zu columns is not zero", kernels->name, columns);
    check(is_untouched, "%s: memory between rows of %zu columns was written", kernels->name,
          columns);
    return out;
}

ink_matrix pack_weights(const ink_kernels *kernels, ink_pool *pool, const float *rows, size_t count,
                        size_t depth, size_t taps, ink_precision precision, int is_gated,
                        const float *bias) {
    size_t lanes = (size_t)kernels->lanes, width = 2 * lanes;
    size_t part = is_gated ? lanes : width, height = is_gated ? count / 2 : count;
    size_t panels = (height + part - 1) / part, columns = panels * width;
    const void **order = allocate(columns * sizeof *order);
    float *biases = allocate(columns * sizeof *biases);
    for (size_t i = 0; i < columns; i++) {
        size_t lane = i % width, row = i / width * part + lane % part;
        size_t source = lane < part ? row : row + height;
        order[i] = row < height ? rows + source * depth * taps : NULL;
        biases[i] = row < height && bias ? bias[source] : 0;
    }
    void *panel = allocate(ink_panel_bytes(columns, depth, taps, precision));
    ink_pack pack = {
        (const void *const *)order, columns, INK_SOURCE_F32, depth, taps, width, precision, panel};
    kernels->pack(pool, &pack);
    return (ink_matrix){panel, bias ? biases : NULL, count, depth, taps, precision};
}

// MARK: - Comparison

double tolerance_of(const subject *subject, double scale) {
    return (subject->precision == INK_F32 ? 4e-6 : 1e-5) * scale;
}

double rounded_tolerance(const subject *subject, double scale) {
    if (subject->precision == INK_F32) return tolerance_of(subject, scale);
    return tolerance_of(subject, subject->precision == INK_BF16 ? 800 : 1200);
}

void compare(const subject *subject, const char *name, computation compute, const void *parameters,
             size_t count, double tolerance) {
    float *want = compute(subject->twin, subject->one, parameters);
    float *got = compute(subject->fast, subject->one, parameters);
    float *two = compute(subject->fast, subject->two, parameters);
    double largest = 1e-3, worst = 0;
    int is_finite = 1;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)got[i] - (double)want[i]);
        is_finite &= isfinite(got[i]) && isfinite(want[i]);
        largest = fmax(largest, fabs((double)want[i]));
        worst = fmax(worst, difference);
    }
    check(is_finite, "%s %d %s: a result is not finite", subject->fast->name,
          (int)subject->precision, name);
    check(worst <= tolerance * largest, "%s %d %s: difference %g of %g, allowed %g",
          subject->fast->name, (int)subject->precision, name, worst, largest, tolerance * largest);
    check(memcmp(got, two, count * sizeof *got) == 0, "%s %d %s: two threads give other bytes",
          subject->fast->name, (int)subject->precision, name);
    release_all(name);
}
