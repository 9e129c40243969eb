// Part of Inkstone. Licence: see LICENSE.
//
// Panels: W columns of the weight matrix (W = 2 * lanes), element order
//   f32   [tap][k][W]
//   bf16  [tap][k / 2][W][2]     depth rounded up to even
// so that a kernel that computes W outputs reads weights strictly forwards.

#include <string.h>

#include "CKernels.h"

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

static float f32_from_f16(uint16_t h) {
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

// Stored tensors may start at any byte, so elements are read with memcpy.
static float read_one(const char *source, ink_source type) {
    uint16_t half;
    float single;
    double wide;
    switch (type) {
    case INK_SOURCE_F32: memcpy(&single, source, 4); return single;
    case INK_SOURCE_BF16: memcpy(&half, source, 2); return ink_f32_from_bf16(half);
    case INK_SOURCE_F16: memcpy(&half, source, 2); return f32_from_f16(half);
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
    return row_count * taps * padded_depth(depth, precision) * (precision == INK_BF16 ? 2 : 4);
}

enum { BLOCK = 64 };

static void pack_panel(void *context, size_t panel, int worker) {
    (void)worker;
    const ink_pack *p = context;
    size_t width = p->panel_width, deep = padded_depth(p->depth, p->precision);
    size_t size = source_size(p->source);
    const void *const *rows = p->rows + panel * width;
    size_t panel_elements = width * p->taps * deep;
    float *f32 = (float *)p->destination + panel * panel_elements;
    uint16_t *bf16 = (uint16_t *)p->destination + panel * panel_elements;
    float line[BLOCK];
    for (size_t tap = 0; tap < p->taps; tap++) {
        for (size_t k0 = 0; k0 < deep; k0 += BLOCK) {
            size_t k1 = k0 + BLOCK < deep ? k0 + BLOCK : deep;
            for (size_t column = 0; column < width; column++) {
                const char *row = rows[column];
                size_t stored = k1 < p->depth ? k1 : p->depth;
                if (row && p->taps == 1 && k0 < stored) {
                    ink_to_f32(row + k0 * size, p->source, stored - k0, line);
                } else {
                    for (size_t k = k0; k < stored; k++)
                        line[k - k0] = row ? read_one(row + (k * p->taps + tap) * size, p->source) : 0;
                }
                for (size_t k = stored > k0 ? stored : k0; k < k1; k++) line[k - k0] = 0;
                if (p->precision == INK_F32) {
                    float *out = f32 + tap * deep * width + column;
                    for (size_t k = k0; k < k1; k++) out[k * width] = line[k - k0];
                } else {
                    uint16_t *out = bf16 + tap * deep * width + column * 2;
                    for (size_t k = k0; k < k1; k++)
                        out[(k / 2) * width * 2 + (k & 1)] = ink_bf16_from_f32(line[k - k0]);
                }
            }
        }
    }
}

void ink_pack_rows(ink_pool *pool, const ink_pack *pack) {
    ink_pool_run(pool, pack->row_count / pack->panel_width, pack_panel, (void *)pack);
}
