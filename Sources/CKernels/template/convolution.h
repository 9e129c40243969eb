// Part of Inkstone. Licence: see LICENSE.
//
// Direct convolutions as implicit matrix products: instead of an im2col matrix, each pixel of a
// tile has one pointer into the image per tap. A tile accumulates all taps and channels in
// registers; the weights of one panel stay in the L2 cache while all tiles of a block use them.

enum { BLOCK_PIXELS = 96, MAX_TAPS = 9 };
_Static_assert(BLOCK_PIXELS == BLOCK_ROWS, "blocks of pixels are those of products");

typedef struct {
    const ink_convolution *p;
    tile_finish finish;
    size_t panels, block;  // pixels of a task
} convolution_plan;

// The row that taps outside of the image read.
static const float zero_row[INK_CONVOLUTION_MAX_DEPTH + INK_OPERAND_ALIGN];

// rows[tap * BLOCK_PIXELS + i]: the input row of tap `tap` of output pixel `pixel0 + i`.
AI void find_taps(const ink_convolution *p, size_t pitch, size_t pixel0, size_t count,
                  const void **rows) {
    size_t height = p->height << (p->upsample != 0), width = p->width << (p->upsample != 0);
    size_t oy = pixel0 / p->out_width, ox = pixel0 % p->out_width, shift = p->upsample != 0;
    for (size_t i = 0; i < count; i++) {
        // Coordinates above and to the left of the image wrap around to large numbers.
        size_t top = oy * p->stride - p->pad_top, left = ox * p->stride - p->pad_left;
        for (size_t ky = 0; ky < p->kernel; ky++) {
            size_t y = top + ky;
            size_t line = (y >> shift) * p->width;
            const void **to = rows + ky * p->kernel * BLOCK_PIXELS + i;
            for (size_t kx = 0; kx < p->kernel; kx++, to += BLOCK_PIXELS) {
                size_t x = left + kx;
                *to = y < height && x < width
                          ? (const char *)p->input.data + (line + (x >> shift)) * pitch
                          : (const char *)zero_row;
            }
        }
        if (++ox == p->out_width) {
            ox = 0;
            oy++;
        }
    }
}

// Accumulates a tile over all taps, in registers; see `accumulate`.
AI void accumulate_taps(const int mr, const ink_precision precision, const void *const *rows,
                        size_t taps, size_t steps, const uint32_t *weights, vf sum[][2]) {
    clear_sums(mr, sum);
    for (size_t tap = 0; tap < taps; tap++)
        accumulate(mr, precision, rows + tap * BLOCK_PIXELS, 0, steps,
                   weights + tap * steps * PANEL, sum);
}

AI void convolution_block(const ink_precision precision, const convolution_plan *plan,
                          size_t index) {
    const ink_convolution *p = plan->p;
    const ink_matrix *b = &p->weights;
    size_t pixel0 = index * plan->block;
    size_t count = smaller(plan->block, p->out_height * p->out_width - pixel0);
    size_t steps = depth_steps(b->depth, precision), pitch = steps * b->taps * PANEL;
    const void *rows[MAX_TAPS * BLOCK_PIXELS];
    find_taps(p, p->input.stride * element_size(precision), pixel0, count, rows);
    if (is_widened(precision)) {
        for (size_t panel = 0; panel < plan->panels; panel += BLOCK_PANELS)
            multiply_block(precision, 1, rows, pixel0, count, b, panel,
                           smaller(panel + BLOCK_PANELS, plan->panels), &plan->finish);
        return;
    }
    for (size_t panel = 0; panel < plan->panels; panel++) {
        const uint32_t *weights = (const uint32_t *)b->panels + panel * pitch;
#define TILE(N)                                                                    \
    {                                                                              \
        vf sum[N][2];                                                              \
        accumulate_taps(N, precision, rows + first, b->taps, steps, weights, sum); \
        finish_tile(N, precision, &plan->finish, pixel0 + first, panel, sum);      \
    }
        FOR_ROW_GROUPS(count, first, TILE)
#undef TILE
    }
}

static void convolution_task_f32(void *plan, size_t index, int thread) {
    (void)thread;
    convolution_block(INK_F32, plan, index);
}

static void convolution_task_bf16(void *plan, size_t index, int thread) {
    (void)thread;
    convolution_block(INK_BF16, plan, index);
}

static void kernel_convolve(ink_pool *pool, const ink_convolution *p) {
    size_t columns = p->weights.columns, total = p->out_height * p->out_width;
    convolution_plan plan = {
        .p = p,
        .finish = {&p->weights,
                   NULL,
                   p->weights.bias,
                   p->residual,
                   columns,
                   {p->out, columns, INK_F32},
                   columns,
                   0,
                   NULL,
                   0},
        .panels = (columns + PANEL - 1) / PANEL,
        .block = BLOCK_PIXELS,
    };
    // Small images: smaller blocks balance the threads.
    size_t wanted = (size_t)ink_pool_threads(pool) * 8;
    while (plan.block > 2 * ROWS && (total + plan.block - 1) / plan.block < wanted)
        plan.block = rounded_up(plan.block / 2, ROWS);
    ink_pool_run(pool, (total + plan.block - 1) / plan.block,
                 p->weights.precision == INK_BF16 ? convolution_task_bf16 : convolution_task_f32,
                 &plan);
}
