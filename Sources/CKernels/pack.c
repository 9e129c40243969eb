// Part of Inkstone. Licence: see LICENSE.
//
// Panels: W columns of the weight matrix (W = 2 * lanes), element order
//   f32   [tap][k][W]
//   bf16  [tap][k / 2][W][2]     depth rounded up to even; see also template/pairs.h
//   int8  see template/int8.h
// so that a kernel that computes W outputs reads the weights sequentially.

#include <string.h>

#include "limits.h"

uint16_t ink_bf16_from_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40u);  // NaN
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float ink_f32_from_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float out;
    memcpy(&out, &bits, 4);
    return out;
}

float ink_f32_from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 0x1fu, mantissa = h & 0x3ffu;
    uint32_t bits;
    if (exponent == 0) {
        float value = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &value, 4);
        bits |= sign;
    } else if (exponent == 31) {
        bits = sign | 0x7f800000u | (mantissa << 13);
    } else {
        bits = sign | ((exponent + 112u) << 23) | (mantissa << 13);
    }
    float out;
    memcpy(&out, &bits, 4);
    return out;
}

static size_t source_size(ink_source type) {
    return type == INK_SOURCE_F64 ? 8 : type == INK_SOURCE_F32 ? 4 : 2;
}

// Stored tensors have no alignment: elements are read with memcpy.
static float read_one(const char *source, ink_source type) {
    uint16_t half;
    float single;
    double wide;
    switch (type) {
    case INK_SOURCE_F32: memcpy(&single, source, 4); return single;
    case INK_SOURCE_BF16: memcpy(&half, source, 2); return ink_f32_from_bf16(half);
    case INK_SOURCE_F16: memcpy(&half, source, 2); return ink_f32_from_f16(half);
    case INK_SOURCE_F64: memcpy(&wide, source, 8); return (float)wide;
    }
    return 0;
}

void ink_to_f32(const void *source, ink_source type, size_t count, float *out) {
    const char *bytes = source;
    size_t size = source_size(type);
    switch (type) {
    case INK_SOURCE_F32: memcpy(out, source, count * 4); return;
    case INK_SOURCE_BF16:
        for (size_t i = 0; i < count; i++) out[i] = read_one(bytes + i * 2, INK_SOURCE_BF16);
        return;
    default:
        for (size_t i = 0; i < count; i++) out[i] = read_one(bytes + i * size, type);
    }
}

static size_t padded_depth(size_t depth, ink_precision precision) {
    return precision == INK_BF16 ? (depth + 1) & ~(size_t)1 : depth;
}

size_t ink_panel_bytes(size_t row_count, size_t depth, size_t taps, ink_precision precision) {
    if (precision == INK_INT8) return row_count * (ink_padded(depth) + 4 * INT8_PANEL_TAIL);
    return row_count * taps * padded_depth(depth, precision) * (precision == INK_BF16 ? 2 : 4);
}

// One cache line of bf16 or two of f32: the block of all columns stays in the L1 cache while it is
// transposed.
enum { BLOCK = 32 };

// Reads `count` elements of one stored row from depth `k`; zeros for a padding row and past the
// depth.
static void read_line(const ink_pack *p, const char *row, size_t tap, size_t k, size_t count,
                      float *line) {
    size_t size = source_size(p->source);
    size_t stored = !row || k >= p->depth ? 0 : p->depth - k < count ? p->depth - k : count;
    if (p->taps == 1 && stored > 0) ink_to_f32(row + k * size, p->source, stored, line);
    else
        for (size_t i = 0; i < stored; i++)
            line[i] = read_one(row + ((k + i) * p->taps + tap) * size, p->source);
    for (size_t i = stored; i < count; i++) line[i] = 0;
}

static void pack_panel(void *context, size_t panel, int thread) {
    (void)thread;
    const ink_pack *p = context;
    size_t width = p->panel_width, deep = padded_depth(p->depth, p->precision);
    const void *const *rows = p->rows + panel * width;
    size_t panel_elements = width * p->taps * deep;
    int copies = p->source == INK_SOURCE_BF16 && p->precision == INK_BF16 && p->taps == 1;
    float line[BLOCK];
    uint32_t pairs[BLOCK / 2];
    for (size_t tap = 0; tap < p->taps; tap++) {
        for (size_t k = 0; k < deep; k += BLOCK) {
            size_t count = deep - k < BLOCK ? deep - k : BLOCK;
            for (size_t column = 0; column < width; column++) {
                const char *row = rows[column];
                if (p->precision == INK_F32) {
                    read_line(p, row, tap, k, count, line);
                    float *out = (float *)p->destination + panel * panel_elements +
                                 (tap * deep + k) * width + column;
                    for (size_t i = 0; i < count; i++) out[i * width] = line[i];
                    continue;
                }
                if (copies && row && k + count <= p->depth) {
                    memcpy(pairs, row + k * 2, count * 2);
                } else {
                    read_line(p, row, tap, k, count, line);
                    for (size_t i = 0; i < count / 2; i++)
                        pairs[i] = ink_bf16_from_f32(line[2 * i]) |
                                   (uint32_t)ink_bf16_from_f32(line[2 * i + 1]) << 16;
                }
                uint32_t *out = (uint32_t *)p->destination + panel * (panel_elements / 2) +
                                (tap * deep + k) / 2 * width + column;
                for (size_t i = 0; i < count / 2; i++) out[i * width] = pairs[i];
            }
        }
    }
}

void ink_pack_rows(ink_pool *pool, const ink_pack *pack) {
    ink_pool_run(pool, pack->row_count / pack->panel_width, pack_panel, (void *)pack);
}
