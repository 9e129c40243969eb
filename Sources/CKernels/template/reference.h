// Part of Inkstone. Licence: see LICENSE.
//
// Reference implementation of every kernel: one scalar loop per sum, in f64 for long sums, without
// blocking or threads. Tests compare every variant with it. Included once per panel width; the
// including file defines INK_LANES and NAME(x).

static float NAME(weight)(const ink_matrix *b, size_t column, size_t tap, size_t k) {
    size_t width = 2 * INK_LANES;
    if (b->precision == INK_INT8) {
        size_t words = ink_padded(b->depth) / 4 + INT8_PANEL_TAIL;
        const int8_t *panel = (const int8_t *)b->panels + column / width * words * width * 4;
        return panel[(k / 4 * width + column % width) * 4 + k % 4];
    }
    size_t deep = b->precision == INK_BF16 ? (b->depth + 1) & ~(size_t)1 : b->depth;
    size_t base = (column / width * b->taps + tap) * deep * width, lane = column % width;
    if (b->precision == INK_F32) return ((const float *)b->panels)[base + k * width + lane];
    const uint16_t *panels = b->panels;
    return ink_f32_from_bf16(panels[base + k / 2 * width * 2 + lane * 2 + (k & 1)]);
}

static float NAME(dot)(const ink_operand *a, size_t row, const ink_matrix *b, size_t column,
                       size_t tap) {
    double sum = 0;
    size_t deep = b->precision == INK_INT8 ? ink_padded(b->depth) : b->depth;
    for (size_t k = 0; k < deep; k++)
        sum +=
            (double)operand_at(a, b->precision, row, k) * (double)NAME(weight)(b, column, tap, k);
    if (b->precision == INK_INT8) {
        size_t width = 2 * INK_LANES;
        size_t words = deep / 4 + INT8_PANEL_TAIL;
        const float *scales =
            (const float *)b->panels + (column / width + 1) * words * width - width;
        const uint8_t *own = (const uint8_t *)a->data + row * a->stride + deep;
        float scale;
        memcpy(&scale, own, 4);
        return (float)sum * (scales[column % width] * scale);
    }
    return (float)sum;
}

static void NAME(pack_int8)(ink_pool *pool, const ink_pack *p) {
    (void)pool;
    size_t width = 2 * INK_LANES, deep = ink_padded(p->depth);
    float line[INK_INT8_MAX_DEPTH];
    for (size_t row = 0; row < p->row_count; row++) {
        int8_t *panel =
            (int8_t *)p->destination + row / width * (deep / 4 + INT8_PANEL_TAIL) * width * 4;
        size_t column = row % width;
        memset(line, 0, deep * 4);
        if (p->rows[row]) ink_to_f32(p->rows[row], p->source, p->depth, line);
        float inverse, scale = plain_rotation(line, deep, &inverse);
        int32_t sum = 0;
        for (size_t k = 0; k < deep; k++) {
            int8_t q = (int8_t)rintf(line[k] * inverse);
            panel[(k / 4 * width + column) * 4 + k % 4] = q;
            sum += q;
        }
        ((int32_t *)panel)[deep / 4 * width + column] = -128 * sum;
        ((float *)panel)[(deep / 4 + 1) * width + column] = scale;
    }
}

static void NAME(pack)(ink_pool *pool, const ink_pack *p) {
    if (p->precision == INK_INT8) NAME(pack_int8)(pool, p);
    else ink_pack_rows(pool, p);
}

// Adds the adapter terms to one complete sum.
static float NAME(with_adapters)(const ink_product *p, size_t row, size_t column, float y) {
    size_t width = 2 * INK_LANES, panel = column / width, lane = column % width;
    double gain = 1, sum = 0;
    for (size_t i = 0; i < p->adapter_count; i++) {
        const ink_adapter *s = &p->adapters[i];
        if (row < s->first || row >= s->first + s->count) continue;
        if (s->gain) gain += (double)s->scale * (double)s->gain[column];
        if (s->table) {
            ink_adapter_panel at = s->table[panel];
            int pairs = s->precision == INK_BF16 ? 2 : 1;
            const char *start = (const char *)s->panels + 4 * (size_t)at.offset;
            for (size_t k = 0; k < (size_t)pairs * at.steps; k++) {
                double up =
                    pairs == 1
                        ? (double)((const float *)start)[k * width + lane]
                        : (double)ink_f32_from_bf16(
                              ((const uint16_t *)start)[k / 2 * 2 * width + 2 * lane + k % 2]);
                size_t from = (size_t)pairs * at.first + k;
                sum += up * (double)operand_at(&s->t, s->precision, row - s->first, from);
            }
        }
        if (s->addend)
            sum +=
                (double)s->scale * (double)s->addend[(row - s->first) * s->addend_stride + column];
    }
    return (float)((double)y * gain + sum);
}

static void NAME(product)(ink_pool *pool, const ink_product *p) {
    (void)pool;
    size_t lanes = INK_LANES;
    for (size_t row = 0; row < p->rows; row++) {
        if (p->swiglu) {
            size_t wide = p->b.columns / 2;
            for (size_t c = 0; c < wide; c++) {
                // A panel holds `lanes` gate columns, then `lanes` up columns.
                size_t gate = c / lanes * 2 * lanes + c % lanes, up = gate + lanes;
                float g = NAME(dot)(&p->a, row, &p->b, gate, 0);
                float u = NAME(dot)(&p->a, row, &p->b, up, 0);
                g = NAME(with_adapters)(p, row, gate, g);
                u = NAME(with_adapters)(p, row, up, u);
                if (p->b.bias) {
                    g += p->b.bias[gate];
                    u += p->b.bias[up];
                }
                put(&p->out, row, c, g / (1 + expf(-g)) * u);
            }
            put_padding(&p->out, row, wide);
            continue;
        }
        for (size_t c = 0; c < p->b.columns; c++) {
            float y = NAME(with_adapters)(p, row, c, NAME(dot)(&p->a, row, &p->b, c, 0));
            if (p->b.bias) y += p->b.bias[c];
            if (p->residual) y += p->residual[row * p->residual_stride + c];
            put(&p->out, row, c, y);
        }
    }
}

static void NAME(convolve)(ink_pool *pool, const ink_convolution *p) {
    (void)pool;
    size_t height = p->height << (p->upsample != 0), width = p->width << (p->upsample != 0);
    size_t columns = p->weights.columns;
    for (size_t oy = 0; oy < p->out_height; oy++)
        for (size_t ox = 0; ox < p->out_width; ox++)
            for (size_t c = 0; c < columns; c++) {
                float y = p->weights.bias ? p->weights.bias[c] : 0;
                for (size_t tap = 0; tap < p->weights.taps; tap++) {
                    ptrdiff_t iy = (ptrdiff_t)(oy * p->stride + tap / p->kernel - p->pad_top);
                    ptrdiff_t ix = (ptrdiff_t)(ox * p->stride + tap % p->kernel - p->pad_left);
                    if (iy < 0 || ix < 0 || iy >= (ptrdiff_t)height || ix >= (ptrdiff_t)width)
                        continue;
                    size_t sy = (size_t)iy >> (p->upsample != 0);
                    size_t sx = (size_t)ix >> (p->upsample != 0);
                    y += NAME(dot)(&p->input, sy * p->width + sx, &p->weights, c, tap);
                }
                size_t at = (oy * p->out_width + ox) * columns + c;
                if (p->residual) y += p->residual[at];
                p->out[at] = y;
            }
}

static void NAME(winograd)(ink_pool *pool, const ink_winograd *p) {
    (void)pool;
    // A' has rows (1 1 1 0) and (0 1 -1 -1).
    static const double signs[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
    ink_winograd_tasks tasks = ink_winograd_split(p->height, p->width, p->upsample);
    size_t height = p->height << p->upsample, width = p->width << p->upsample;
    size_t depth = p->weights.depth, columns = p->weights.columns;
    float *inputs = p->scratch;
    if (p->sums) memset(p->sums, 0, tasks.count * 2 * columns * sizeof *p->sums);
    for (size_t tile = 0; tile < tasks.rows * tasks.columns; tile++) {
        size_t row = tile / tasks.columns, column = tile % tasks.columns;
        for (size_t k = 0; k < depth; k++) winograd_transform(p, row, column, k, inputs + 16 * k);
        for (size_t c = 0; c < columns; c++) {
            double m[16];
            for (size_t i = 0; i < 16; i++) {
                m[i] = 0;
                for (size_t k = 0; k < depth; k++)
                    m[i] += (double)inputs[16 * k + i] * (double)NAME(weight)(&p->weights, c, i, k);
            }
            for (size_t i = 0; i < 4; i++) {
                size_t y = 2 * row + i / 2, x = 2 * column + i % 2;
                if (y >= height || x >= width) continue;
                double sum = p->weights.bias ? (double)p->weights.bias[c] : 0;
                for (size_t j = 0; j < 16; j++)
                    sum += signs[i / 2][j / 4] * signs[i % 2][j % 4] * m[j];
                size_t at = (y * width + x) * columns + c;
                if (p->residual) sum += (double)p->residual[at];
                p->out[at] = (float)sum;
                // The sums of all tasks are stored as the first task's.
                if (p->sums) {
                    p->sums[c] += (float)sum;
                    p->sums[columns + c] += (float)(sum * sum);
                }
            }
        }
    }
}

static size_t NAME(winograd_scratch)(int threads, size_t depth, ink_precision precision) {
    (void)threads, (void)precision;
    return depth * INK_WINOGRAD_TAPS * sizeof(float);
}

static size_t NAME(attention_scratch)(int threads, size_t tokens, size_t segments, size_t heads,
                                      size_t kv_heads, size_t head_dim, ink_precision precision) {
    (void)threads, (void)segments, (void)heads, (void)kv_heads, (void)head_dim, (void)precision;
    return (tokens + 1) * sizeof(double);
}

static const ink_kernels NAME(table) = {
    .name = "reference",
    .lanes = INK_LANES,
    .native_bf16 = 0,
    .pack = NAME(pack),
    .product = NAME(product),
    .convolve = NAME(convolve),
    .winograd = NAME(winograd),
    .attend = reference_attend,
    .head_norm = reference_head_norm,
    .norm = reference_norm,
    .add_norm = reference_add_norm,
    .group_norm = reference_group_norm,
    .group_apply = reference_group_apply,
    .convert = reference_convert,
    .silu = reference_silu,
    .spin = reference_spin,
    .attention_scratch = NAME(attention_scratch),
    .winograd_scratch = NAME(winograd_scratch),
};
