// Part of Inkstone. Licence: see LICENSE.
//
// Reference implementations of the kernels that read no panels; see template/reference.h for the
// others.

#include "variants.h"

static float operand_at(const ink_operand *a, ink_precision precision, size_t row, size_t k) {
    size_t at = row * a->stride + k;
    if (precision == INK_INT8) return (float)((const uint8_t *)a->data)[at] - 128;
    return precision == INK_F32 ? ((const float *)a->data)[at]
                                : ink_f32_from_bf16(((const uint16_t *)a->data)[at]);
}

static void put(const ink_output *out, size_t row, size_t column, float x) {
    size_t at = row * out->stride + column;
    if (out->precision == INK_F32) ((float *)out->data)[at] = x;
    else ((uint16_t *)out->data)[at] = ink_bf16_from_f32(x);
}

static void put_padding(const ink_output *out, size_t row, size_t columns) {
    size_t end = ink_padded(columns);
    for (size_t k = columns; k < end && k < out->stride; k++) put(out, row, k, 0);
}

// Rotates a row in groups by the unnormalised Hadamard matrix and returns its scale.
static float plain_rotation(float *x, size_t padded, float *inverse) {
    size_t group = ROTATION_GROUP;
    while (padded % group != 0) group /= 2;
    float largest = 0;
    int finite = 1;
    for (size_t start = 0; start < padded; start += group)
        for (size_t distance = 1; distance < group; distance *= 2)
            for (size_t i = start; i < start + group; i++) {
                if (i - start & distance) continue;
                float a = x[i], b = x[i + distance];
                x[i] = a + b;
                x[i + distance] = a - b;
            }
    for (size_t i = 0; i < padded; i++) {
        largest = fmaxf(largest, fabsf(x[i]));
        finite &= isfinite(x[i]) != 0;
    }
    *inverse = finite && largest > 0 ? 127 / largest : 0;
    return finite ? largest / 127 / sqrtf((float)group) : NAN;
}

// Writes an int8 operand row from its f32 values; `line` has space for the padding.
static void put_row(const ink_output *out, size_t row, size_t columns, float *line) {
    size_t padded = ink_padded(columns);
    uint8_t *to = (uint8_t *)out->data + row * out->stride;
    for (size_t i = columns; i < padded; i++) line[i] = 0;
    float inverse, scale = plain_rotation(line, padded, &inverse);
    for (size_t i = 0; i < padded; i++) {
        float scaled = line[i] * inverse;
        to[i] = (uint8_t)(128 + (scaled == scaled ? (int)rintf(scaled) : 0));
    }
    memcpy(to + padded, &scale, 4);
}

static void report(int32_t *slot, size_t row, double value) {
    if (isfinite(value)) return;
    if (*slot < 0 || (int32_t)row < *slot) *slot = (int32_t)row;
}

static float rounded(float x, ink_precision precision) {
    return precision == INK_F32 ? x : ink_f32_from_bf16(ink_bf16_from_f32(x));
}

static void reference_attend(ink_pool *pool, const ink_attention *p) {
    (void)pool;
    double *weights = p->scratch;
    for (size_t s = 0; s < p->segments; s++)
        for (size_t head = 0; head < p->heads; head++)
            for (size_t row = p->queries[s]; row < p->queries[s + 1]; row++) {
                size_t query = p->offsets[s] + (row - p->queries[s]);
                size_t at = head * p->head_dim, kv = head / (p->heads / p->kv_heads) * p->head_dim;
                size_t first = p->offsets[s];
                size_t end = p->causal ? query + 1 : p->offsets[s + 1];
                double running_max = -INFINITY, running_sum = 0;
                for (size_t key = first; key < end; key++) {
                    double score = 0;
                    for (size_t i = 0; i < p->head_dim; i++)
                        score += (double)rounded(p->q[query * p->stride + at + i], p->precision) *
                                 (double)rounded(p->k[key * p->stride + kv + i], p->precision);
                    weights[key - first] = score * (double)p->scale;
                    running_max = fmax(running_max, weights[key - first]);
                }
                for (size_t key = first; key < end; key++) {
                    weights[key - first] = exp(weights[key - first] - running_max);
                    running_sum += weights[key - first];
                }
                for (size_t i = 0; i < p->head_dim; i++) {
                    double sum = 0;
                    for (size_t key = first; key < end; key++)
                        sum += weights[key - first] *
                               (double)rounded(p->v[key * p->stride + kv + i], p->precision);
                    put(&p->out, row, at + i, (float)(sum / running_sum));
                }
                if (head + 1 == p->heads) put_padding(&p->out, row, p->heads * p->head_dim);
            }
}

static double mean_square(const float *x, size_t count, double mean) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    return sum / (double)count;
}

static size_t row_segment(const size_t *offsets, size_t segments, size_t row) {
    size_t s = 0;
    while (s + 1 < segments && row >= offsets[s + 1]) s++;
    return s;
}

static void reference_head_norm(ink_pool *pool, const ink_head_norm *p) {
    (void)pool;
    size_t half = p->head_dim / 2;
    for (size_t token = 0; token < p->tokens; token++)
        for (size_t head = 0; head < p->heads; head++) {
            float *x = p->x + token * p->stride + head * p->head_dim;
            double square = mean_square(x, p->head_dim, 0);
            report(p->non_finite, token, square);
            double factor = 1 / sqrt(square + (double)p->epsilon);
            for (size_t i = 0; i < half; i++) {
                size_t first = p->interleaved ? 2 * i : i;
                size_t second = p->interleaved ? 2 * i + 1 : i + half;
                double c = (double)p->cosines[token * half + i];
                double s = (double)p->sines[token * half + i];
                double a = (double)x[first] * factor * (double)p->weight[first];
                double b = (double)x[second] * factor * (double)p->weight[second];
                x[first] = (float)(a * c - b * s);
                x[second] = (float)(a * s + b * c);
            }
        }
}

static void reference_norm(ink_pool *pool, const ink_norm *p) {
    (void)pool;
    float line[INK_INT8_MAX_DEPTH];
    for (size_t row = 0; row < p->rows; row++) {
        const float *x = p->x + row * p->dim;
        double mean = 0;
        if (p->centred) {
            for (size_t i = 0; i < p->dim; i++) mean += (double)x[i];
            mean /= (double)p->dim;
        }
        double square = mean_square(x, p->dim, mean);
        report(p->non_finite, row, square);
        double factor = 1 / sqrt(square + (double)p->epsilon);
        for (size_t i = 0; i < p->dim; i++) {
            double y = ((double)x[i] - mean) * factor;
            if (p->weight) y *= (double)p->weight[i];
            if (p->scale) {
                size_t s = row_segment(p->offsets, p->segments, row);
                y *= 1 + (double)p->scale[s * p->scale_stride + i];
            }
            if (p->out.precision == INK_INT8) line[i] = (float)y;
            else put(&p->out, row, i, (float)y);
        }
        if (p->out.precision == INK_INT8) put_row(&p->out, row, p->dim, line);
        else put_padding(&p->out, row, p->dim);
    }
}

static void reference_add_norm(ink_pool *pool, const ink_add_norm *p) {
    (void)pool;
    for (size_t row = 0; row < p->rows; row++) {
        const float *y = p->y + row * p->dim;
        double square = mean_square(y, p->dim, 0);
        report(p->non_finite, row, square);
        double factor = 1 / sqrt(square + (double)p->epsilon);
        for (size_t i = 0; i < p->dim; i++) {
            double add = (double)y[i] * factor * (double)p->weight[i];
            if (p->gate) {
                size_t s = row_segment(p->offsets, p->segments, row);
                add *= (double)p->gate[s * p->gate_stride + i];
            }
            p->x[row * p->dim + i] += (float)add;
        }
    }
}

// Two passes over the image; ignores `sums`.
static void reference_group_norm(ink_pool *pool, const ink_group_norm *p) {
    (void)pool;
    size_t wide = p->channels / p->groups;
    for (size_t group = 0; group < p->groups; group++) {
        double mean = 0, square = 0, count = (double)p->pixels * (double)wide;
        for (size_t pixel = 0; pixel < p->pixels; pixel++)
            for (size_t c = group * wide; c < (group + 1) * wide; c++)
                mean += (double)p->x[pixel * p->channels + c];
        mean /= count;
        for (size_t pixel = 0; pixel < p->pixels; pixel++)
            for (size_t c = group * wide; c < (group + 1) * wide; c++) {
                double d = (double)p->x[pixel * p->channels + c] - mean;
                square += d * d;
            }
        report(p->non_finite, 0, square);
        double factor = 1 / sqrt(square / count + (double)p->epsilon);
        for (size_t c = group * wide; c < (group + 1) * wide; c++) {
            p->factor[c] = (float)((double)p->weight[c] * factor);
            p->shift[c] = (float)((double)p->bias[c] - mean * (double)p->weight[c] * factor);
        }
    }
}

static void reference_group_apply(ink_pool *pool, const ink_group_apply *p) {
    (void)pool;
    for (size_t pixel = 0; pixel < p->pixels; pixel++) {
        for (size_t c = 0; c < p->channels; c++) {
            double y =
                (double)p->x[pixel * p->channels + c] * (double)p->factor[c] + (double)p->shift[c];
            if (p->silu) y = y / (1 + exp(-y));
            put(&p->out, pixel, c, (float)y);
        }
        put_padding(&p->out, pixel, p->channels);
    }
}

// An input of a Winograd tile: rows and columns outside of the image are zero.
static float winograd_input(const ink_winograd *p, ptrdiff_t row, ptrdiff_t column,
                            size_t channel) {
    ptrdiff_t height = (ptrdiff_t)p->height << p->upsample;
    ptrdiff_t width = (ptrdiff_t)p->width << p->upsample;
    if (row < 0 || column < 0 || row >= height || column >= width) return 0;
    size_t pixel = (size_t)(row >> p->upsample) * p->width + (size_t)(column >> p->upsample);
    double y = (double)p->x[pixel * p->weights.depth + channel];
    if (p->factor) y = y * (double)p->factor[channel] + (double)p->shift[channel];
    if (p->silu) y = y / (1 + exp(-y));
    return (float)y;
}

// The input transform B' d B; rows of B' are (1 0 -1 0), (0 1 1 0), (0 -1 1 0), (0 1 0 -1). Rounded
// to the product's precision.
static void winograd_transform(const ink_winograd *p, size_t row, size_t column, size_t channel,
                               float out[16]) {
    static const int terms[4][2] = {{0, 2}, {1, 2}, {2, 1}, {1, 3}};
    float lines[4][4];
    for (int x = 0; x < 4; x++) {
        float d[4];
        for (int y = 0; y < 4; y++)
            d[y] = winograd_input(p, (ptrdiff_t)(2 * row) + y - 1, (ptrdiff_t)(2 * column) + x - 1,
                                  channel);
        for (int i = 0; i < 4; i++)
            lines[i][x] = i == 1 ? d[1] + d[2] : d[terms[i][0]] - d[terms[i][1]];
    }
    for (int y = 0; y < 4; y++)
        for (int i = 0; i < 4; i++) {
            const float *d = lines[y];
            float v = i == 1 ? d[1] + d[2] : d[terms[i][0]] - d[terms[i][1]];
            out[4 * y + i] =
                p->weights.precision == INK_BF16 ? ink_f32_from_bf16(ink_bf16_from_f32(v)) : v;
        }
}

static void reference_convert(ink_pool *pool, const ink_convert *p) {
    (void)pool;
    float line[INK_INT8_MAX_DEPTH];
    ink_operand source = {p->x, p->stride};
    for (size_t row = 0; row < p->rows; row++) {
        for (size_t i = 0; i < p->columns; i++) {
            float x = operand_at(&source, p->from, row, i) * p->scale;
            if (p->out.precision == INK_INT8) line[i] = x;
            else put(&p->out, row, i, x);
        }
        if (p->out.precision == INK_INT8) put_row(&p->out, row, p->columns, line);
        else put_padding(&p->out, row, p->columns);
    }
}

static void reference_silu(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = x[i] / (1 + expf(-x[i]));
}

static double reference_spin(ink_precision precision, size_t iterations) {
    (void)precision;
    volatile float sum = 0;
    for (size_t i = 0; i < iterations; i++) sum = sum * 0.5f + 1;
    return 2.0 * (double)iterations;
}

#define INK_LANES 4
#define NAME(x) x##_4
#include "template/reference.h"
#undef INK_LANES
#undef NAME
#define INK_LANES 8
#define NAME(x) x##_8
#include "template/reference.h"
#undef INK_LANES
#undef NAME
#define INK_LANES 16
#define NAME(x) x##_16
#include "template/reference.h"

const ink_kernels *ink_kernels_reference(int lanes) {
    return lanes == 16 ? &table_16 : lanes == 8 ? &table_8 : &table_4;
}
