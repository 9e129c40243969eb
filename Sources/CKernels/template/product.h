// Part of Inkstone. Licence: see LICENSE.
//
// Matrix products.
//
// Blocking: weights stream from the L2 cache, whose bandwidth suffices for a tile that reads two
// vectors of weights per step. Chunks are therefore deep, and few sums are stored and loaded
// between them: DEPTH_STEPS of a panel (128 KiB at 16 lanes) stay in L2 while all row groups of the
// block read them.

enum { BLOCK_ROWS = 96, BLOCK_PANELS = 8, DEPTH_STEPS = 1024 };
_Static_assert(BLOCK_ROWS % ROWS == 0, "blocks are whole register tiles");

// Operations on complete sums.
typedef struct {
    const ink_matrix *weights;
    const ink_operand *a;  // int8 only
    const float *bias;
    const float *residual;
    size_t residual_stride;
    ink_output out;
    size_t columns;
    int swiglu;
    const ink_adapter *adapters;
    size_t adapter_count;
} tile_finish;

#include "wide.h"
#include "adapter.h"

// Every index into `sum` is a constant, so that the sums stay in registers from the first step to
// the last store. Rare or long code works on a copy in memory.
AI void finish_tile(const int mr, const ink_precision precision, const tile_finish *f, size_t row,
                    size_t panel, vf sum[][2]) {
    size_t column = panel * PANEL;
    if (precision == INK_INT8) {
        const ink_matrix *b = f->weights;
        size_t end = (panel + 1) * int8_panel_pitch(b->depth);
        const float *scales = (const float *)b->panels + end - PANEL;
        vf s0 = load(scales), s1 = load(scales + LANES);
        const char *a = (const char *)f->a->data + row * f->a->stride;
        UNROLLED
        for (int r = 0; r < mr; r++) {
            float own = operand_scale(a + (size_t)r * f->a->stride, b->depth);
            sum[r][0] = __builtin_convertvector((vi)sum[r][0], vf) * (s0 * own);
            sum[r][1] = __builtin_convertvector((vi)sum[r][1], vf) * (s1 * own);
        }
    }
    if (f->adapter_count) {
        vf copy[ROWS][2];
        UNROLLED
        for (int r = 0; r < mr; r++) {
            copy[r][0] = sum[r][0];
            copy[r][1] = sum[r][1];
        }
        add_adapters(f->adapters, f->adapter_count, row, (size_t)mr, panel, copy);
        UNROLLED
        for (int r = 0; r < mr; r++) {
            sum[r][0] = copy[r][0];
            sum[r][1] = copy[r][1];
        }
    }
    if (f->bias) {
        vf b0 = load(f->bias + column), b1 = load(f->bias + column + LANES);
        UNROLLED
        for (int r = 0; r < mr; r++) {
            sum[r][0] += b0;
            sum[r][1] += b1;
        }
    }
    if (!f->swiglu && column + PANEL <= f->columns) {
        float *out = (float *)f->out.data + row * f->out.stride + column;
        if (f->residual) {
            const float *add = f->residual + row * f->residual_stride + column;
            UNROLLED
            for (int r = 0; r < mr; r++) {
                sum[r][0] += load(add + (size_t)r * f->residual_stride);
                sum[r][1] += load(add + (size_t)r * f->residual_stride + LANES);
            }
        }
        UNROLLED
        for (int r = 0; r < mr; r++) {
            store(out + (size_t)r * f->out.stride, sum[r][0]);
            store(out + (size_t)r * f->out.stride + LANES, sum[r][1]);
        }
        return;
    }
    vf copy[ROWS][2];
    UNROLLED
    for (int r = 0; r < mr; r++) {
        copy[r][0] = sum[r][0];
        copy[r][1] = sum[r][1];
    }
    if (f->swiglu) {
        size_t wide = f->columns / 2, at = panel * LANES, count = smaller(LANES, wide - at);
        for (int r = 0; r < mr; r++)
            store_operand(&f->out, row + (size_t)r, at, silu(copy[r][0]) * copy[r][1], count);
        if (at + count == wide)
            for (int r = 0; r < mr; r++) pad_operand(&f->out, row + (size_t)r, wide);
        return;
    }
    size_t count = f->columns - column, first = smaller(count, LANES), second = count - first;
    for (int r = 0; r < mr; r++) {
        float *out = (float *)f->out.data + (row + (size_t)r) * f->out.stride + column;
        vf x0 = copy[r][0], x1 = copy[r][1];
        if (f->residual) {
            const float *add = f->residual + (row + (size_t)r) * f->residual_stride + column;
            x0 += load_some(add, first, 0);
            if (second) x1 += load_some(add + LANES, second, 0);
        }
        store_some(out, x0, first);
        if (second) store_some(out + LANES, x1, second);
    }
}

AI void start_sums(const int mr, const ink_precision precision, const uint32_t *starts,
                   vf sum[][2]) {
    if (precision != INK_INT8) {
        clear_sums(mr, sum);
        return;
    }
    vf s0 = load((const float *)starts), s1 = load((const float *)starts + LANES);
    UNROLLED
    for (int r = 0; r < mr; r++) {
        sum[r][0] = s0;
        sum[r][1] = s1;
    }
}

AI void load_sums(const int mr, const float *at, vf sum[][2]) {
    UNROLLED
    for (int r = 0; r < mr; r++) {
        sum[r][0] = load(at + r * PANEL);
        sum[r][1] = load(at + r * PANEL + LANES);
    }
}

AI void store_sums(const int mr, float *at, vf sum[][2]) {
    UNROLLED
    for (int r = 0; r < mr; r++) {
        store(at + r * PANEL, sum[r][0]);
        store(at + r * PANEL + LANES, sum[r][1]);
    }
}

// Rows [row0, row0 + count) of the result, panels [panel0, panel1).
// `rows[tap * BLOCK_ROWS + i]` is the start of tap `tap` of row `row0 + i`.
AI void multiply_block(const ink_precision precision, const int widened, const void *const *rows,
                       size_t row0, size_t count, const ink_matrix *b, size_t panel0, size_t panel1,
                       const tile_finish *finish) {
    _Alignas(64) float sums[BLOCK_PANELS * BLOCK_ROWS * PANEL];
    size_t steps = depth_steps(b->depth, precision);
    size_t pitch = precision == INK_INT8 ? int8_panel_pitch(b->depth) : steps * b->taps * PANEL;
    _Alignas(64) uint32_t wide[widened ? BLOCK_ROWS * WIDE_PITCH : 1];
    size_t longest = widened ? WIDE_STEPS : DEPTH_STEPS;
    for (size_t tap = 0; tap < b->taps; tap++) {
        for (size_t step = 0; step < steps; step += longest) {
            size_t chunk = smaller(longest, steps - step);
            for (size_t i = 0; widened && i < count; i++)
                widen_row(precision, (const char *)rows[tap * BLOCK_ROWS + i] + step * 4, chunk,
                          wide + i * WIDE_PITCH);
            int is_first = tap == 0 && step == 0;
            int is_last = tap + 1 == b->taps && step + chunk == steps;
            for (size_t panel = panel0; panel < panel1; panel++) {
                const uint32_t *weights =
                    (const uint32_t *)b->panels + panel * pitch + (tap * steps + step) * PANEL;
                float *partial = sums + (panel - panel0) * BLOCK_ROWS * PANEL;
#define TILE(N)                                                                                  \
    {                                                                                            \
        float *at = partial + first * PANEL;                                                     \
        vf sum[N][2];                                                                            \
        if (is_first) start_sums(N, precision, weights + steps * PANEL, sum);                    \
        else load_sums(N, at, sum);                                                              \
        if (widened)                                                                             \
            accumulate_wide(N, precision, wide + first * WIDE_PITCH, WIDE_PITCH, chunk, weights, \
                            sum);                                                                \
        else                                                                                     \
            accumulate(N, precision, rows + tap * BLOCK_ROWS + first, step * 4, chunk, weights,  \
                       sum);                                                                     \
        if (is_last) finish_tile(N, precision, finish, row0 + first, panel, sum);                \
        else store_sums(N, at, sum);                                                             \
    }
                FOR_ROW_GROUPS(count, first, TILE)
#undef TILE
            }
        }
    }
}

// MARK: - Product

typedef struct {
    const ink_product *p;
    tile_finish finish;
    size_t panels, panels_per_task, rows_per_task, row_blocks;
} product_plan;

AI void product_block(const ink_precision precision, const int widened, const product_plan *plan,
                      size_t index) {
    const ink_product *p = plan->p;
    // Row blocks vary fastest: consecutive tasks share a group of panels, which stays in cache.
    size_t panel0 = index / plan->row_blocks * plan->panels_per_task;
    size_t panel1 = smaller(panel0 + plan->panels_per_task, plan->panels);
    size_t row0 = index % plan->row_blocks * plan->rows_per_task;
    size_t count = smaller(plan->rows_per_task, p->rows - row0);
    size_t pitch = p->a.stride * element_size(precision);
    const void *rows[BLOCK_ROWS];
    for (size_t i = 0; i < count; i++) rows[i] = (const char *)p->a.data + (row0 + i) * pitch;
    multiply_block(precision, widened, rows, row0, count, &p->b, panel0, panel1, &plan->finish);
}

#define PRODUCT_TASK(NAME, PRECISION, WIDENED)               \
    static void NAME(void *plan, size_t index, int thread) { \
        (void)thread;                                        \
        product_block(PRECISION, WIDENED, plan, index);      \
    }
PRODUCT_TASK(product_task_f32, INK_F32, 0)
PRODUCT_TASK(product_task_bf16, INK_BF16, 0)
PRODUCT_TASK(product_task_int8, INK_INT8, 0)
PRODUCT_TASK(product_task_bf16_widened, INK_BF16, is_widened(INK_BF16))
PRODUCT_TASK(product_task_int8_widened, INK_INT8, is_widened(INK_INT8))
#undef PRODUCT_TASK

// The task for blocks of `rows` rows.
static ink_task product_task(ink_precision precision, size_t rows) {
    size_t least = precision == INK_INT8 ? WIDE_ROWS_INT8 : WIDE_ROWS_BF16;
    int widened = is_widened(precision) && rows >= least;
    if (precision == INK_INT8) return widened ? product_task_int8_widened : product_task_int8;
    if (precision == INK_BF16) return widened ? product_task_bf16_widened : product_task_bf16;
    return product_task_f32;
}

// Divides a product into tasks: blocks that fit the caches if there are enough of them, else
// smaller ones, to balance the threads.
static void plan_tasks(product_plan *plan, int threads) {
    const ink_product *p = plan->p;
    // A step of a tile takes about 7 ns; with fewer steps the overhead of a task is measurable.
    enum { TASKS = 16, LEAST_STEPS = 512 };
    size_t steps = depth_steps(p->b.depth, p->b.precision), tiles = (p->rows + ROWS - 1) / ROWS;
    plan->panels_per_task = BLOCK_PANELS;
    size_t blocks = (p->rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (;;) {
        // Blocks of nearly equal height, in whole tiles.
        size_t high = (tiles + blocks - 1) / blocks;
        plan->rows_per_task = high * ROWS;
        plan->row_blocks = (tiles + high - 1) / high;
        size_t groups = (plan->panels + plan->panels_per_task - 1) / plan->panels_per_task;
        if (threads == 1 || plan->row_blocks * groups >= (size_t)threads * TASKS ||
            plan->panels_per_task * high * steps <= LEAST_STEPS)
            return;
        if (plan->panels_per_task > 1) plan->panels_per_task /= 2;
        else if (high > 1) blocks *= 2;
        else return;
    }
}

static void kernel_product(ink_pool *pool, const ink_product *p) {
    if (p->rows == 0 || p->b.columns == 0) return;
    product_plan plan = {
        .p = p,
        .finish = {&p->b, &p->a, p->b.bias, p->residual, p->residual_stride, p->out, p->b.columns,
                   p->swiglu, p->adapters, p->adapter_count},
        .panels = (p->b.columns + PANEL - 1) / PANEL,
    };
    plan_tasks(&plan, ink_pool_threads(pool));
    size_t groups = (plan.panels + plan.panels_per_task - 1) / plan.panels_per_task;
    ink_pool_run(pool, plan.row_blocks * groups, product_task(p->b.precision, plan.rows_per_task),
                 &plan);
}
