// Part of Inkstone. Licence: see LICENSE.
//
// Norms fused with the operations that follow them, and conversions to operands. All are bound by
// memory bandwidth: a task is a contiguous block of rows, and each row is reused while in cache.

enum { NORM_ROWS = 16 };

// Atomic minimum of the reported rows, by compare-and-swap.
AI void report_row(int32_t *slot, size_t row) {
    int32_t seen = __atomic_load_n(slot, __ATOMIC_RELAXED);
    while (seen < 0 || (int32_t)row < seen) {
        if (__atomic_compare_exchange_n(slot, &seen, (int32_t)row, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return;
    }
}

// x - x is 0 for finite numbers only.
AI int is_finite(float x) { return x - x == 0; }

AI float sum_squares(const float *x, size_t count, float mean) {
    vf s0 = splat(0), s1 = splat(0);
    size_t i = 0;
    for (; i + PANEL <= count; i += PANEL) {
        vf a = load(x + i) - mean, b = load(x + i + LANES) - mean;
        s0 = a * a + s0;
        s1 = b * b + s1;
    }
    for (; i < count; i += LANES) {
        vf a = load_some(x + i, count - i, mean) - mean;
        s0 = a * a + s0;
    }
    return sum_lanes(s0 + s1);
}

AI float sum_row(const float *x, size_t count) {
    vf s = splat(0);
    for (size_t i = 0; i < count; i += LANES) s += load_some(x + i, count - i, 0);
    return sum_lanes(s);
}

// Rows ascend within a task, so the search continues from the previous segment.
AI size_t segment_of(const size_t *offsets, size_t segments, size_t row, size_t from) {
    while (from + 1 < segments && row >= offsets[from + 1]) from++;
    return from;
}

AI void norm_some(const ink_norm *p, size_t row, size_t i, size_t count, const float *x,
                  const float *scale, float mean, float factor, float *line) {
    vf y = (load_some(x + i, count, 0) - mean) * factor;
    if (p->weight) y *= load_some(p->weight + i, count, 0);
    if (scale) y *= load_some(scale + i, count, 0) + 1.0f;
    if (p->out.precision == INK_INT8) store_some(line + i, y, count);
    else store_operand(&p->out, row, i, y, count);
}

static void norm_task(void *context, size_t index, int thread) {
    (void)thread;
    const ink_norm *p = context;
    _Alignas(64) float line[INK_INT8_MAX_DEPTH];
    size_t end = smaller(p->rows, (index + 1) * NORM_ROWS), segment = 0;
    for (size_t row = index * NORM_ROWS; row < end; row++) {
        const float *x = p->x + row * p->dim;
        float mean = p->centred ? sum_row(x, p->dim) / (float)p->dim : 0;
        float squares = sum_squares(x, p->dim, mean);
        if (!is_finite(squares)) report_row(p->non_finite, row);
        float factor = 1 / sqrtf(squares / (float)p->dim + p->epsilon);
        const float *scale = NULL;
        if (p->scale) {
            segment = segment_of(p->offsets, p->segments, row, segment);
            scale = p->scale + segment * p->scale_stride;
        }
        size_t whole = p->dim / LANES * LANES;
        for (size_t i = 0; i < whole; i += LANES)
            norm_some(p, row, i, LANES, x, scale, mean, factor, line);
        if (whole < p->dim) norm_some(p, row, whole, p->dim - whole, x, scale, mean, factor, line);
        finish_operand(&p->out, row, p->dim, line);
    }
}

static void kernel_norm(ink_pool *pool, const ink_norm *p) {
    ink_pool_run(pool, (p->rows + NORM_ROWS - 1) / NORM_ROWS, norm_task, (void *)p);
}

AI void add_norm_some(float *x, const float *y, const float *weight, const float *gate,
                      size_t count, float factor) {
    vf add = load_some(y, count, 0) * factor * load_some(weight, count, 0);
    if (gate) add *= load_some(gate, count, 0);
    store_some(x, load_some(x, count, 0) + add, count);
}

static void add_norm_task(void *context, size_t index, int thread) {
    (void)thread;
    const ink_add_norm *p = context;
    size_t end = smaller(p->rows, (index + 1) * NORM_ROWS), segment = 0;
    for (size_t row = index * NORM_ROWS; row < end; row++) {
        float *x = p->x + row * p->dim;
        const float *y = p->y + row * p->dim;
        float squares = sum_squares(y, p->dim, 0);
        if (!is_finite(squares)) report_row(p->non_finite, row);
        float factor = 1 / sqrtf(squares / (float)p->dim + p->epsilon);
        const float *gate = NULL;
        if (p->gate) {
            segment = segment_of(p->offsets, p->segments, row, segment);
            gate = p->gate + segment * p->gate_stride;
        }
        size_t whole = p->dim / LANES * LANES;
        for (size_t i = 0; i < whole; i += LANES)
            add_norm_some(x + i, y + i, p->weight + i, gate ? gate + i : NULL, LANES, factor);
        if (whole < p->dim)
            add_norm_some(x + whole, y + whole, p->weight + whole, gate ? gate + whole : NULL,
                          p->dim - whole, factor);
    }
}

static void kernel_add_norm(ink_pool *pool, const ink_add_norm *p) {
    ink_pool_run(pool, (p->rows + NORM_ROWS - 1) / NORM_ROWS, add_norm_task, (void *)p);
}

// Pairs (2i, 2i + 1).
AI void rotate_pairs(float *x, const float *weight, const float *cosines, const float *sines,
                     size_t dim, float factor) {
    typedef float vhalf __attribute__((ext_vector_type(LANES / 2), aligned(4)));
    vf sign;
    UNROLLED
    for (int i = 0; i < LANES; i++) sign[i] = i % 2 ? 1 : -1;
    size_t i = 0;
    for (; i + LANES <= dim; i += LANES) {
        vf y = load(x + i) * factor * load(weight + i);
        vf c = DOUBLED(*(const vhalf *)(cosines + i / 2));
        vf s = DOUBLED(*(const vhalf *)(sines + i / 2));
        store(x + i, y * c + SWAP_PAIRS(y) * (s * sign));
    }
    for (; i < dim; i += 2) {
        float a = x[i] * factor * weight[i], b = x[i + 1] * factor * weight[i + 1];
        x[i] = a * cosines[i / 2] - b * sines[i / 2];
        x[i + 1] = a * sines[i / 2] + b * cosines[i / 2];
    }
}

// Pairs (i, i + half).
AI void rotate_halves(float *x, const float *weight, const float *cosines, const float *sines,
                      size_t half, float factor) {
    size_t i = 0;
    for (; i + LANES <= half; i += LANES) {
        vf a = load(x + i) * factor * load(weight + i);
        vf b = load(x + half + i) * factor * load(weight + half + i);
        vf c = load(cosines + i), s = load(sines + i);
        store(x + i, a * c - b * s);
        store(x + half + i, b * c + a * s);
    }
    for (; i < half; i++) {
        float a = x[i] * factor * weight[i], b = x[i + half] * factor * weight[i + half];
        x[i] = a * cosines[i] - b * sines[i];
        x[i + half] = b * cosines[i] + a * sines[i];
    }
}

static void head_norm_task(void *context, size_t index, int thread) {
    (void)thread;
    const ink_head_norm *p = context;
    size_t end = smaller(p->tokens, (index + 1) * NORM_ROWS), dim = p->head_dim, half = dim / 2;
    for (size_t token = index * NORM_ROWS; token < end; token++) {
        const float *cosines = p->cosines + token * half, *sines = p->sines + token * half;
        for (size_t head = 0; head < p->heads; head++) {
            float *x = p->x + token * p->stride + head * dim;
            float squares = sum_squares(x, dim, 0);
            if (!is_finite(squares)) report_row(p->non_finite, token);
            float factor = 1 / sqrtf(squares / (float)dim + p->epsilon);
            if (p->interleaved) rotate_pairs(x, p->weight, cosines, sines, dim, factor);
            else rotate_halves(x, p->weight, cosines, sines, half, factor);
        }
    }
}

static void kernel_head_norm(ink_pool *pool, const ink_head_norm *p) {
    ink_pool_run(pool, (p->tokens + NORM_ROWS - 1) / NORM_ROWS, head_norm_task, (void *)p);
}

// MARK: - Group norm

// Partial sums per block of pixels in f32, summed in f64 in block order: accurate for a million
// pixels and independent of the number of threads.
static void group_sums_task(void *context, size_t index, int thread) {
    (void)thread;
    const ink_group_norm *p = context;
    size_t channels = p->channels, end = smaller(p->pixels, (index + 1) * GROUP_NORM_PIXELS);
    float *sums = (float *)p->scratch + 2 * channels * index, *squares = sums + channels;
    for (size_t c = 0; c < channels; c += LANES) {
        size_t count = smaller(LANES, channels - c);
        vf s = splat(0), q = splat(0);
        for (size_t pixel = index * GROUP_NORM_PIXELS; pixel < end; pixel++) {
            vf x = load_some(p->x + pixel * channels + c, count, 0);
            s += x;
            q = x * x + q;
        }
        store_some(sums + c, s, count);
        store_some(squares + c, q, count);
    }
}

static void kernel_group_norm(ink_pool *pool, const ink_group_norm *p) {
    size_t channels = p->channels, wide = channels / p->groups, blocks = p->blocks;
    const float *partial = p->sums;
    if (!partial) {
        blocks = (p->pixels + GROUP_NORM_PIXELS - 1) / GROUP_NORM_PIXELS;
        partial = p->scratch;
        ink_pool_run(pool, blocks, group_sums_task, (void *)p);
    }
    double count = (double)p->pixels * (double)wide;
    for (size_t group = 0; group < p->groups; group++) {
        double sum = 0, squares = 0;
        for (size_t block = 0; block < blocks; block++) {
            const float *sums = partial + 2 * channels * block;
            for (size_t c = group * wide; c < (group + 1) * wide; c++) {
                sum += (double)sums[c];
                squares += (double)sums[channels + c];
            }
        }
        double mean = sum / count, variance = squares / count - mean * mean;
        if (variance < 0) variance = 0;
        if (!is_finite((float)mean) || !is_finite((float)variance)) report_row(p->non_finite, 0);
        double inverse = 1 / sqrt(variance + (double)p->epsilon);
        for (size_t c = group * wide; c < (group + 1) * wide; c++) {
            p->factor[c] = (float)((double)p->weight[c] * inverse);
            p->shift[c] = (float)((double)p->bias[c] - mean * (double)p->weight[c] * inverse);
        }
    }
}

static void group_apply_task(void *context, size_t index, int thread) {
    (void)thread;
    const ink_group_apply *p = context;
    size_t channels = p->channels, end = smaller(p->pixels, (index + 1) * GROUP_NORM_PIXELS);
    for (size_t pixel = index * GROUP_NORM_PIXELS; pixel < end; pixel++) {
        for (size_t c = 0; c < channels; c += LANES) {
            size_t count = smaller(LANES, channels - c);
            vf y = load_some(p->x + pixel * channels + c, count, 0) *
                       load_some(p->factor + c, count, 0) +
                   load_some(p->shift + c, count, 0);
            if (p->silu) y = silu(y);
            store_operand(&p->out, pixel, c, y, count);
        }
        pad_operand(&p->out, pixel, channels);
    }
}

static void kernel_group_apply(ink_pool *pool, const ink_group_apply *p) {
    ink_pool_run(pool, (p->pixels + GROUP_NORM_PIXELS - 1) / GROUP_NORM_PIXELS, group_apply_task,
                 (void *)p);
}

// MARK: - Conversion and activation

static void convert_task(void *context, size_t index, int thread) {
    (void)thread;
    const ink_convert *p = context;
    _Alignas(64) float line[INK_INT8_MAX_DEPTH];
    size_t end = smaller(p->rows, (index + 1) * NORM_ROWS);
    for (size_t row = index * NORM_ROWS; row < end; row++) {
        for (size_t i = 0; i < p->columns; i += LANES) {
            size_t count = smaller(LANES, p->columns - i), at = row * p->stride + i;
            vf x = p->from == INK_BF16 ? load_bf16((const uint16_t *)p->x + at, count)
                                       : load_some((const float *)p->x + at, count, 0);
            x *= p->scale;
            if (p->out.precision == INK_INT8) store_some(line + i, x, count);
            else store_operand(&p->out, row, i, x, count);
        }
        finish_operand(&p->out, row, p->columns, line);
    }
}

static void kernel_convert(ink_pool *pool, const ink_convert *p) {
    ink_pool_run(pool, (p->rows + NORM_ROWS - 1) / NORM_ROWS, convert_task, (void *)p);
}

static void kernel_silu(float *x, size_t count) {
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = smaller(LANES, count - i);
        store_some(x + i, silu(load_some(x + i, n, 0)), n);
    }
}
