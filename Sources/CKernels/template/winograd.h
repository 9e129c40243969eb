// Part of Inkstone. Licence: see LICENSE.
//
// 3 x 3 convolutions of stride 1 by Winograd's F(2x2, 3x3): a tile of 2 x 2 outputs takes 16
// products in place of 36, of its transformed 4 x 4 inputs with transformed weights
// (`ink_winograd_weights`). With nearest-neighbour upsampling, neighbouring inputs are equal: one
// row and one column of the transform vanish, and 9 products remain. Source: Lavin and Gray, "Fast
// Algorithms for Convolutional Neural Networks" (2016).
//
// A task is a rectangle of tiles. It normalises its pixels while reading them, keeps their
// transforms in the second-level cache for all panels, and sums its outputs for the next norm, so
// that only the image itself passes through memory. The division into tasks depends on the image's
// size alone.
//
// "Tile" in this file is the Winograd tile; the register tile of `accumulate` is a row group here.

enum {
    TASK_TILES = WINOGRAD_TILES_HIGH * WINOGRAD_TILES_WIDE,  // at most, of a task
    TRANSFORM = INK_WINOGRAD_TAPS,
    CHANNELS = 64,  // normalised and transformed at a time
    // Input pixels of a task.
    PIXELS = (2 * WINOGRAD_TILES_HIGH + 2) * (2 * WINOGRAD_TILES_WIDE + 2),
};

typedef struct {
    const ink_winograd *p;
    ink_winograd_tasks tasks;
    size_t panels, pitch;  // elements from one tile's transform to the next
    size_t workspace_bytes;
    char *workspaces;
} winograd_plan;

// Precision in which transforms are stored: f32 where factors are widened in any case.
AI ink_precision transform_precision(const ink_precision precision) {
    return is_widened(precision) ? INK_F32 : precision;
}

AI size_t winograd_pitch(size_t depth, ink_precision precision) {
    // An odd number of cache lines: a power of two would map the rows to few cache sets.
    size_t size = element_size(transform_precision(precision));
    return (rounded_up(rounded_up(depth, LANES) * size, 64) / 64 | 1) * 64 / size;
}

static size_t kernel_winograd_scratch(int threads, size_t depth, ink_precision precision) {
    size_t transforms = TRANSFORM * TASK_TILES * winograd_pitch(depth, precision) *
                        element_size(transform_precision(precision));
    return (size_t)threads *
           (transforms + 4 * TRANSFORM * TASK_TILES * PANEL + 4 * PIXELS * CHANNELS);
}

// Approximate SiLU for results that are rounded to bf16: error 1.4e-4, rounding 2e-3.
AI vf quick_silu(const ink_precision precision, vf x) {
#ifdef INK_RECIPROCAL
    if (precision == INK_BF16)
        return x * INK_RECIPROCAL(power_of_two(INK_BF16, at_most(x * -1.44269504f, 126)) + 1.0f);
#endif
    (void)precision;
    return silu(x);
}

// Reads channels [c0, c0 + count) of a task's pixels, normalised; zeros outside of the image.
AI void read_pixels(const ink_precision precision, const ink_winograd *p, size_t top, size_t left,
                    size_t high, size_t wide, size_t c0, size_t count, float *to) {
    size_t depth = p->weights.depth;
    for (size_t y = 0; y < high; y++)
        for (size_t x = 0; x < wide; x++, to += CHANNELS) {
            // Coordinates above and to the left of the image wrap around to large numbers.
            size_t row = top + y - 1, column = left + x - 1;
            if (row >= p->height || column >= p->width) {
                for (size_t c = 0; c < count; c += LANES) store(to + c, splat(0));
                continue;
            }
            const float *from = p->x + (row * p->width + column) * depth + c0;
            for (size_t c = 0; c < count; c += LANES) {
                size_t n = smaller(LANES, count - c);
                vf v = load_some(from + c, n, 0);
                if (p->factor)
                    v = v * load_some(p->factor + c0 + c, n, 0) +
                        load_some(p->shift + c0 + c, n, 0);
                if (p->silu) v = quick_silu(precision, v);
                store(to + c, v);
            }
        }
}

// Input transform of a tile, one vector of channels: along columns, then along rows.
AI void transform_tile(const ink_precision precision, const int up, const float *from, size_t line,
                       char *to, size_t plane_bytes) {
    vf rows[4][4];
    UNROLLED
    for (size_t x = 0; x < 4; x++) {
        vf d[4];
        UNROLLED
        for (size_t y = 0; y < 4; y++)
            d[y] = load(from + (up ? (y + 1) / 2 : y) * line + (up ? (x + 1) / 2 : x) * CHANNELS);
        rows[0][x] = d[0] - d[2];
        rows[1][x] = d[1] + d[2];
        rows[2][x] = d[2] - d[1];
        rows[3][x] = d[1] - d[3];
    }
    ink_output out = {to, 0, transform_precision(precision)};
    UNROLLED
    for (size_t y = 0; y < 4; y++) {
        if (up && y == 2) continue;
        vf *d = rows[y];
        vf v[4] = {d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]};
        UNROLLED
        for (size_t x = 0; x < 4; x++) {
            if (up && x == 2) continue;
            out.data = to + (y * 4 + x) * plane_bytes;
            if (is_widened(precision)) v[x] = (vf)(bf16_bits(v[x]) << 16);
            store_operand(&out, 0, 0, v[x], LANES);
        }
    }
}

// Output transform of a tile, one vector of columns: 16 sums to 2 x 2 outputs.
AI void inverse_transform(const int up, const float *sums, vf y[2][2]) {
    vf rows[2][4];
    UNROLLED
    for (size_t x = 0; x < 4; x++) {
        if (up && x == 2) continue;
        const float *m = sums + x * TASK_TILES * PANEL;
        vf m0 = load(m), m1 = load(m + 4 * TASK_TILES * PANEL),
           m3 = load(m + 12 * TASK_TILES * PANEL);
        if (up) {
            rows[0][x] = m0 + m1;
            rows[1][x] = m1 - m3;
        } else {
            vf m2 = load(m + 8 * TASK_TILES * PANEL);
            rows[0][x] = m0 + m1 + m2;
            rows[1][x] = m1 - m2 - m3;
        }
    }
    UNROLLED
    for (int i = 0; i < 2; i++) {
        vf *m = rows[i];
        y[i][0] = up ? m[0] + m[1] : m[0] + m[1] + m[2];
        y[i][1] = up ? m[1] - m[3] : m[1] - m[2] - m[3];
    }
}

// Adds bias and residual, stores, and computes the sums for the next norm.
AI void finish_panel(const int up, const winograd_plan *plan, size_t index, size_t panel,
                     size_t row0, size_t column0, size_t high, size_t wide, const float *sums) {
    const ink_winograd *p = plan->p;
    size_t columns = p->weights.columns, height = p->height << up, width = p->width << up;
    for (size_t c = panel * PANEL; c < smaller(columns, (panel + 1) * PANEL); c += LANES) {
        size_t n = smaller(LANES, columns - c), tile = 0;
        vf bias = p->weights.bias ? load(p->weights.bias + c) : splat(0);
        vf total = splat(0), squares = splat(0);
        for (size_t i = 0; i < high; i++)
            for (size_t j = 0; j < wide; j++, tile++) {
                vf y[2][2];
                inverse_transform(up, sums + tile * PANEL + c % PANEL, y);
                UNROLLED
                for (size_t k = 0; k < 4; k++) {
                    size_t row = 2 * (row0 + i) + k / 2, column = 2 * (column0 + j) + k % 2;
                    if (row >= height || column >= width) continue;
                    size_t at = (row * width + column) * columns + c;
                    vf v = y[k / 2][k % 2] + bias;
                    if (p->residual) v += load_some(p->residual + at, n, 0);
                    store_some(p->out + at, v, n);
                    total += v;
                    squares = v * v + squares;
                }
            }
        if (!p->sums) continue;
        store_some(p->sums + index * 2 * columns + c, total, n);
        store_some(p->sums + (index * 2 + 1) * columns + c, squares, n);
    }
}

AI void winograd_block(const ink_precision precision, const int up, const winograd_plan *plan,
                       size_t index, int thread) {
    const ink_winograd *p = plan->p;
    const ink_winograd_tasks *t = &plan->tasks;
    size_t row0 = index / t->across * t->high, column0 = index % t->across * t->wide;
    size_t high = smaller(t->high, t->rows - row0), wide = smaller(t->wide, t->columns - column0);
    size_t count = high * wide, depth = p->weights.depth;
    size_t size = element_size(transform_precision(precision));
    size_t plane_bytes = TASK_TILES * plan->pitch * size, steps = depth_steps(depth, precision);
    char *transforms = plan->workspaces + (size_t)thread * plan->workspace_bytes;
    float *sums = (float *)(transforms + TRANSFORM * plane_bytes),
          *pixels = sums + TRANSFORM * TASK_TILES * PANEL;

    size_t span = up ? 1 : 2;  // input pixels from one tile to the next
    size_t pixels_high = span * high + 2, pixels_wide = span * wide + 2;
    for (size_t c0 = 0; c0 < depth; c0 += CHANNELS) {
        size_t some = smaller(CHANNELS, depth - c0);
        read_pixels(precision, p, row0 * span, column0 * span, pixels_high, pixels_wide, c0, some,
                    pixels);
        for (size_t tile = 0; tile < count; tile++) {
            size_t y = tile / wide * span, x = tile % wide * span;
            const float *from = pixels + (y * pixels_wide + x) * CHANNELS;
            char *to = transforms + (tile * plan->pitch + c0) * size;
            for (size_t c = 0; c < some; c += LANES)
                transform_tile(precision, up, from + c, pixels_wide * CHANNELS, to + c * size,
                               plane_bytes);
        }
    }

    const void *rows[TASK_TILES];
    for (size_t panel = 0; panel < plan->panels; panel++) {
        for (size_t i = 0; i < TRANSFORM; i++) {
            if (up && (i % 4 == 2 || i / 4 == 2)) continue;
            const uint32_t *weights =
                (const uint32_t *)p->weights.panels + (panel * TRANSFORM + i) * steps * PANEL;
            for (size_t tile = 0; tile < count; tile++)
                rows[tile] = transforms + i * plane_bytes + tile * plan->pitch * size;
            float *to = sums + i * TASK_TILES * PANEL;
#define ROW_GROUP(N)                                                                      \
    {                                                                                     \
        vf sum[N][2];                                                                     \
        clear_sums(N, sum);                                                               \
        if (is_widened(precision))                                                        \
            accumulate_wide(N, precision, rows[first], plan->pitch, steps, weights, sum); \
        else accumulate(N, precision, rows + first, 0, steps, weights, sum);              \
        for (int r = 0; r < (N); r++) {                                                   \
            store(to + (first + (size_t)r) * PANEL, sum[r][0]);                           \
            store(to + (first + (size_t)r) * PANEL + LANES, sum[r][1]);                   \
        }                                                                                 \
    }
            FOR_ROW_GROUPS(count, first, ROW_GROUP)
#undef ROW_GROUP
        }
        finish_panel(up, plan, index, panel, row0, column0, high, wide, sums);
    }
}

static void winograd_task_f32(void *plan, size_t index, int thread) {
    winograd_block(INK_F32, 0, plan, index, thread);
}

static void winograd_task_bf16(void *plan, size_t index, int thread) {
    winograd_block(INK_BF16, 0, plan, index, thread);
}

static void winograd_task_up_f32(void *plan, size_t index, int thread) {
    winograd_block(INK_F32, 1, plan, index, thread);
}

static void winograd_task_up_bf16(void *plan, size_t index, int thread) {
    winograd_block(INK_BF16, 1, plan, index, thread);
}

static void kernel_winograd(ink_pool *pool, const ink_winograd *p) {
    ink_precision precision = p->weights.precision;
    winograd_plan plan = {
        .p = p,
        .tasks = ink_winograd_split(p->height, p->width, p->upsample),
        .panels = (p->weights.columns + PANEL - 1) / PANEL,
        .pitch = winograd_pitch(p->weights.depth, precision),
        .workspace_bytes = kernel_winograd_scratch(1, p->weights.depth, precision),
        .workspaces = p->scratch,
    };
    ink_pool_run(pool, plan.tasks.count,
                 precision == INK_BF16 ? p->upsample ? winograd_task_up_bf16 : winograd_task_bf16
                 : p->upsample         ? winograd_task_up_f32
                                       : winograd_task_f32,
                 &plan);
}
