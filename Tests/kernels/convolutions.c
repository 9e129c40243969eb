// Part of Inkstone. Licence: see LICENSE.
//
// Direct and Winograd convolutions.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"

typedef struct {
    size_t height, width, kernel, stride;
    int upsample;
    size_t channels, columns;
    ink_precision precision;
    int is_normed;
} image_case;

static size_t out_height(const image_case *c) { return (c->height << c->upsample) / c->stride; }
static size_t out_width(const image_case *c) { return (c->width << c->upsample) / c->stride; }

static float *convolve(const ink_kernels *kernels, ink_pool *pool, const void *parameters) {
    const image_case *c = parameters;
    size_t pixels = c->height * c->width, taps = c->kernel * c->kernel;
    size_t area = out_height(c) * out_width(c);
    matrix input = make_operand(kernels, pool, numbers(pixels * c->channels, 10), pixels,
                                c->channels, c->precision);
    ink_convolution convolution = {
        .input = operand_of(&input),
        .height = c->height,
        .width = c->width,
        .kernel = c->kernel,
        .stride = c->stride,
        .pad_top = c->stride == 1 ? c->kernel / 2 : 0,
        .pad_left = c->stride == 1 ? c->kernel / 2 : 0,
        .upsample = c->upsample,
        .out_height = out_height(c),
        .out_width = out_width(c),
        .weights =
            pack_weights(kernels, pool, numbers(c->columns * c->channels * taps, 8), c->columns,
                         c->channels, taps, c->precision, 0, numbers(c->columns, 9)),
        .residual = c->is_normed ? NULL : numbers(area * c->columns, 11),
        .out = allocate(area * c->columns * sizeof(float)),
    };
    kernels->convolve(pool, &convolution);
    return convolution.out;
}

void check_convolutions(const subject *s) {
    if (s->precision == INK_INT8) return;
    static const image_case images[] = {
        {5, 7, 3, 1, 0, 19, 37, 0, 0}, {4, 6, 1, 1, 0, 66, 3, 0, 0},  {6, 4, 3, 2, 0, 3, 33, 0, 1},
        {3, 5, 3, 1, 1, 19, 37, 0, 0}, {1, 1, 3, 1, 0, 5, 1, 0, 1},   {31, 1, 3, 1, 0, 1, 9, 0, 0},
        {1, 60, 3, 1, 1, 3, 33, 0, 1}, {20, 13, 3, 1, 0, 66, 3, 0, 0}};
    size_t count = s->is_short ? 6 : sizeof images / sizeof images[0];
    for (size_t i = 0; i < count; i++) {
        image_case c = images[i];
        c.precision = s->precision;
        char name[64];
        snprintf(name, sizeof name, "convolution %zu x %zu", c.height, c.width);
        compare(s, name, convolve, &c, out_height(&c) * out_width(&c) * c.columns,
                tolerance_of(s, 20));
    }
}

// MARK: - Winograd

// The output, then for each column the sum of the outputs and of their squares.
static float *convolve_winograd(const ink_kernels *kernels, ink_pool *pool,
                                const void *parameters) {
    const image_case *c = parameters;
    size_t pixels = c->height * c->width, area = out_height(c) * out_width(c);
    float *transformed = allocate(c->columns * c->channels * INK_WINOGRAD_TAPS * sizeof(float));
    ink_winograd_weights(numbers(c->columns * c->channels * 9, 8), c->columns * c->channels,
                         transformed);
    size_t tasks = ink_winograd_split(c->height, c->width, c->upsample).count;
    float *out = allocate((area + 2) * c->columns * sizeof *out);
    ink_winograd winograd = {
        .x = numbers(pixels * c->channels, 10),
        .height = c->height,
        .width = c->width,
        .factor = c->is_normed ? numbers(c->channels, 25) : NULL,
        .shift = c->is_normed ? numbers(c->channels, 26) : NULL,
        .silu = c->is_normed,
        .upsample = c->upsample,
        .weights = pack_weights(kernels, pool, transformed, c->columns, c->channels,
                                INK_WINOGRAD_TAPS, c->precision, 0, numbers(c->columns, 9)),
        .residual = c->is_normed ? NULL : numbers(area * c->columns, 11),
        .out = out,
        .sums = allocate(tasks * 2 * c->columns * sizeof(float)),
        .scratch =
            allocate(kernels->winograd_scratch(ink_pool_threads(pool), c->channels, c->precision)),
    };
    kernels->winograd(pool, &winograd);
    // Sums are compared as means, so that they have the outputs' magnitude.
    for (size_t i = 0; i < 2 * c->columns; i++) {
        double sum = 0;
        for (size_t task = 0; task < tasks; task++)
            sum += (double)winograd.sums[task * 2 * c->columns + i];
        out[area * c->columns + i] = (float)(sum / (double)area);
    }
    return out;
}

void check_winograd(const subject *s) {
    if (s->precision == INK_INT8) return;
    static const image_case images[] = {
        {5, 7, 3, 1, 0, 19, 37, 0, 0},   {3, 5, 3, 1, 1, 19, 37, 0, 1},
        {1, 1, 3, 1, 0, 3, 1, 0, 1},     {1, 40, 3, 1, 1, 7, 5, 0, 0},
        {31, 1, 3, 1, 0, 1, 33, 0, 1},   {20, 13, 3, 1, 0, 66, 3, 0, 1},
        {33, 50, 3, 1, 0, 24, 20, 0, 0}, {17, 30, 3, 1, 1, 70, 9, 0, 1}};
    size_t count = s->is_short ? 6 : sizeof images / sizeof images[0];
    for (size_t i = 0; i < count; i++) {
        image_case c = images[i];
        c.precision = s->precision;
        char name[64];
        snprintf(name, sizeof name, "Winograd %zu x %zu", c.height, c.width);
        // Normalised inputs are rounded to bf16 after arithmetic that the twin does in f64.
        double tolerance = c.is_normed ? rounded_tolerance(s, 40) : tolerance_of(s, 20);
        compare(s, name, convolve_winograd, &c, (out_height(&c) * out_width(&c) + 2) * c.columns,
                tolerance);
    }
}

// MARK: - Group norms

static float *group_norm(const ink_kernels *kernels, ink_pool *pool, const void *parameters) {
    const image_case *c = parameters;
    enum { GROUPS = 4 };
    size_t pixels = c->height * c->width, channels = c->channels;
    float *x = numbers(pixels * channels, 24);
    // Far from zero, sums of squares in f32 lose digits.
    if (c->is_normed)
        for (size_t i = 0; i < pixels * channels; i++) x[i] += 30;
    int32_t non_finite = -1;
    float *factor = allocate(channels * sizeof *factor),
          *shift = allocate(channels * sizeof *shift);
    ink_group_norm norm = {x,
                           pixels,
                           channels,
                           GROUPS,
                           numbers(channels, 25),
                           numbers(channels, 26),
                           1e-6f,
                           NULL,
                           0,
                           factor,
                           shift,
                           allocate(ink_group_norm_scratch(pixels, channels)),
                           &non_finite};
    kernels->group_norm(pool, &norm);
    check(non_finite == -1, "%s: group norm reports row %d", kernels->name, (int)non_finite);
    matrix out = make_matrix(pixels, channels, c->precision);
    ink_group_apply apply = {x, pixels, channels, factor, shift, 1, output_of(&out)};
    kernels->group_apply(pool, &apply);
    return read_matrix(kernels, &out);
}

void check_group_norms(const subject *s) {
    if (s->precision == INK_INT8) return;
    static const size_t pixels[] = {1, 255, 700};
    for (size_t i = 0; i < 3; i++)
        for (int is_far = 0; is_far < 2; is_far++) {
            image_case c = {.height = 1,
                            .width = pixels[i],
                            .channels = 20,
                            .precision = s->precision,
                            .is_normed = is_far};
            double scale = s->precision == INK_BF16 ? 800 : is_far ? 400 : 20;
            compare(s, "group norm", group_norm, &c, pixels[i] * c.channels,
                    tolerance_of(s, scale));
        }
}
