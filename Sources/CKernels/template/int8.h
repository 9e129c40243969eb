// Part of Inkstone. Licence: see LICENSE.
//
// 8-bit factors. A row (of activations or of a weight matrix) is padded with zeros to a multiple of
// 32, rotated in groups by a Hadamard matrix, and divided by its largest magnitude over 127. The
// rotation distributes outlier channels evenly over their group. Both factors are rotated by the
// same orthogonal matrix, so their product is unchanged.
//
//   activations  bytes, q + INK_INT8_OFFSET, then the row's scale as an f32
//   panel        [depth / 4][PANEL][4] signed bytes, or [depth / 8][PANEL][8] for INK_PAIR_INT8;
//                then for each column -INK_INT8_OFFSET times the sum of its bytes (the initial
//                value of the sums, which cancels the offset), then its scale as f32.
//                INK_ARRANGE_INT8 changes the order of the bytes of a vector
//
// The order of additions is the same for every number of lanes: all variants agree bit for bit.

// 128 where the instructions multiply unsigned by signed bytes, 0 where both are signed.
#ifndef INK_INT8_OFFSET
#define INK_INT8_OFFSET 128
#endif

// Rows of a group: the largest power of two up to ROTATION_GROUP that divides the padded depth.
AI size_t rotation_group(size_t padded) {
    size_t group = ROTATION_GROUP;
    while (padded % group != 0) group /= 2;
    return group;
}

#if INK_LANES == 16
#define SWAP_1(x) \
    __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#define SWAP_2(x) \
    __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define SWAP_4(x) \
    __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define SWAP_8(x) \
    __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#elif INK_LANES == 8
#define SWAP_1(x) __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6)
#define SWAP_2(x) __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5)
#define SWAP_4(x) __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3)
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7}
#else
#define SWAP_1(x) __builtin_shufflevector(x, x, 1, 0, 3, 2)
#define SWAP_2(x) __builtin_shufflevector(x, x, 2, 3, 0, 1)
#define LANE_NUMBERS {0, 1, 2, 3}
#endif

// Lane i becomes the sum with lane i ^ distance, or the difference if i has that bit.
AI vf butterfly(vf x, vf swapped, uint32_t distance) {
    const vu lane = LANE_NUMBERS;
    vu sign = (vu)((lane & distance) != 0) & 0x80000000u;
    return swapped + (vf)((vu)x ^ sign);
}

// Multiplies `count` vectors by the Hadamard matrix without its factor 1 / sqrt(count * LANES).
AI void rotate_vectors(const int count, vf *x) {
    UNROLLED
    for (int i = 0; i < count; i++) {
        vf y = butterfly(x[i], SWAP_1(x[i]), 1);
        y = butterfly(y, SWAP_2(y), 2);
#if INK_LANES >= 8
        y = butterfly(y, SWAP_4(y), 4);
#endif
#if INK_LANES >= 16
        y = butterfly(y, SWAP_8(y), 8);
#endif
        x[i] = y;
    }
    UNROLLED
    for (int distance = 1; distance < count; distance *= 2) {
        UNROLLED
        for (int i = 0; i < count; i++) {
            if (i & distance) continue;
            vf a = x[i], b = x[i + distance];
            x[i] = a + b;
            x[i + distance] = a - b;
        }
    }
}

// Rotates one group in memory. Returns the largest magnitude so far as the bits of an f32: compared
// as integers, NaN is above infinity and infinity above all numbers, so that both are kept.
AI vi rotate_group(const int group, float *x, vi largest_bits) {
    vf v[group / LANES];
    UNROLLED
    for (int i = 0; i < group / LANES; i++) v[i] = load(x + i * LANES);
    rotate_vectors(group / LANES, v);
    UNROLLED
    for (int i = 0; i < group / LANES; i++) {
        vi bits = (vi)v[i] & 0x7fffffff;
        vi larger_lanes = bits > largest_bits;
        largest_bits = (bits & larger_lanes) | (largest_bits & ~larger_lanes);
        store(x + i * LANES, v[i]);
    }
    return largest_bits;
}

// Rotates `x` in place. Returns the row's scale; the quantised bytes are x * *inverse.
static float rotate_row(float *x, size_t padded, float *inverse) {
    size_t group = rotation_group(padded);
    vi largest_bits = (vi)(0);
    for (size_t i = 0; i < padded; i += group) {
        switch (group) {
        case ROTATION_GROUP:
            largest_bits = rotate_group(ROTATION_GROUP, x + i, largest_bits);
            break;
        case 128: largest_bits = rotate_group(128, x + i, largest_bits); break;
        case 64: largest_bits = rotate_group(64, x + i, largest_bits); break;
        default: largest_bits = rotate_group(32, x + i, largest_bits); break;
        }
    }
    int32_t bits = largest_bits[0];
    for (int i = 1; i < LANES; i++) bits = largest_bits[i] > bits ? largest_bits[i] : bits;
    float largest;
    memcpy(&largest, &bits, 4);
    *inverse = largest > 0 ? 127 / largest : 0;
    return largest / 127 / sqrtf((float)group);
}

// The bytes of LANES rotated numbers, each in the low byte of its lane, plus `offset`.
AI vu quantised(vf x, float inverse, uint32_t offset) {
    vf scaled = x * inverse;
    vf shifted = scaled + 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    return (vu)shifted + offset;
}

typedef uint8_t vb __attribute__((ext_vector_type(INK_LANES)));
typedef vb vb_u __attribute__((aligned(1)));

// Writes one operand row from `columns` values; `x` has space for the padding and is overwritten.
static void quantise_row(float *x, size_t columns, uint8_t *out) {
    size_t padded = rounded_up(columns, INK_OPERAND_ALIGN);
    for (size_t i = columns; i < padded; i++) x[i] = 0;
    float inverse, scale = rotate_row(x, padded, &inverse);
    for (size_t i = 0; i < padded; i += LANES)
        *(vb_u *)(out + i) =
            __builtin_convertvector(quantised(load(x + i), inverse, INK_INT8_OFFSET) & 255, vb);
    memcpy(out + padded, &scale, 4);
}

AI vf load_bf16(const uint16_t *p, size_t count) {
    vh x = (vh)(0);
    if (count >= LANES) x = *(const vh_u *)p;
    else
        for (size_t i = 0; i < count; i++) x[i] = p[i];
    return (vf)(__builtin_convertvector(x, vu) << 16);
}

// Completes an operand row: pads it or, in int8, quantises it from `line`, which holds the whole
// row and is overwritten.
AI void finish_operand(const ink_output *out, size_t row, size_t columns, float *line) {
    if (out->precision == INK_INT8)
        quantise_row(line, columns, (uint8_t *)out->data + row * out->stride);
    else pad_operand(out, row, columns);
}

AI float operand_scale(const void *row, size_t depth) {
    float scale;
    memcpy(&scale, (const char *)row + rounded_up(depth, INK_OPERAND_ALIGN), 4);
    return scale;
}

// Words of a panel: the depth, the initial sums, the scales.
AI size_t int8_panel_pitch(size_t depth) {
    return (depth_steps(depth, INK_INT8) + INT8_PANEL_TAIL) * PANEL;
}

static void pack_int8_task(void *context, size_t panel, int thread) {
    (void)thread;
    const ink_pack *p = context;
    size_t steps = depth_steps(p->depth, INK_INT8), padded = 4 * steps;
    uint32_t *out = (uint32_t *)p->destination + panel * int8_panel_pitch(p->depth);
    int32_t *starts = (int32_t *)out + steps * PANEL;
    float *scales = (float *)starts + PANEL;
    _Alignas(64) float line[INK_INT8_MAX_DEPTH];
    for (size_t column = 0; column < PANEL; column++) {
        const void *row = p->rows[panel * PANEL + column];
        float inverse = 0;
        scales[column] = 0;
        size_t stored = row ? p->depth : 0;
        if (row) ink_to_f32(row, p->source, stored, line);
        for (size_t i = stored; i < padded; i++) line[i] = 0;
        if (row) scales[column] = rotate_row(line, padded, &inverse);
        int32_t sum = 0;
        for (size_t i = 0; i < padded; i += LANES) {
            _Alignas(64) uint32_t words[LANES];
            vu q = quantised(load(line + i), inverse, 0);
            vi wide = (vi)(q << 24) >> 24;
            *(vu *)words = q & 255;
            for (size_t j = 0; j < LANES; j += 4)
                out[(i + j) / 4 * PANEL + column] =
                    words[j] | words[j + 1] << 8 | words[j + 2] << 16 | words[j + 3] << 24;
            for (int j = 0; j < LANES; j++) sum += wide[j];
        }
        starts[column] = -INK_INT8_OFFSET * sum;
    }
    pair_steps(INK_INT8, out, steps);
#ifdef INK_ARRANGE_INT8
    for (size_t i = 0; i < steps * PANEL; i += LANES)
        *(vu_u *)(out + i) = INK_ARRANGE_INT8(*(vu_u *)(out + i));
#endif
}

static void pair_bf16_task(void *context, size_t panel, int thread) {
    (void)thread;
    const ink_pack *p = context;
    size_t steps = depth_steps(p->depth, INK_BF16);
    for (size_t tap = panel * p->taps; tap < (panel + 1) * p->taps; tap++)
        pair_steps(INK_BF16, (uint32_t *)p->destination + tap * steps * PANEL, steps);
}

static void kernel_pack(ink_pool *pool, const ink_pack *p) {
    size_t panels = p->row_count / PANEL;
    if (p->precision == INK_INT8) {
        ink_pool_run(pool, panels, pack_int8_task, (void *)p);
        return;
    }
    ink_pack_rows(pool, p);
    if (p->precision == INK_BF16 && is_paired(INK_BF16))
        ink_pool_run(pool, panels, pair_bf16_task, (void *)p);
}
