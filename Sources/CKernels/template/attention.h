// Part of Inkstone. Licence: see LICENSE.
//
// Softmax attention with online softmax over blocks of keys, so that the score matrix is never
// stored. Blocks of keys are counted from the start of each sequence: the arithmetic of a query
// does not depend on the rest of the batch. Source: Dao et al., "FlashAttention" (2022).
//
// All matrices are transposed: a panel of PANEL queries occupies the lanes, and keys (then features
// of the values) are the rows of the tiles. Running maxima, running sums and the rescaling of
// earlier blocks are therefore lane-wise, and the weights are stored as the panel of the second
// product.

enum {
    KEY_BLOCK = 480,
    GROUP = INK_OPERAND_ALIGN  // tokens packed together
};
_Static_assert(KEY_BLOCK % GROUP == 0, "groups do not cross the blocks of keys");
_Static_assert(KEY_BLOCK % ROWS == 0, "blocks of keys are whole register tiles");
_Static_assert(GROUP % PANEL == 0, "groups are whole panels");

typedef struct {
    const ink_attention *p;
    size_t pitch;   // elements from one packed key to the next
    size_t rows;    // rows of scratch per head: tokens, and each segment filled up to whole groups
    char *queries;  // [head][panel][steps][PANEL]
    char *keys;     // [kv head][token][pitch]
    char *values;   // [kv head][key block][feature][tokens of the block, filled up]
    char *workspaces;  // one per thread
    size_t workspace_bytes;
} attention_plan;

AI size_t attention_pitch(size_t head_dim) { return rounded_up(head_dim, INK_OPERAND_ALIGN); }

AI size_t attention_rows(size_t tokens, size_t segments) { return tokens + segments * GROUP; }

// Workspace of a thread: scores [KEY_BLOCK][PANEL], overwritten by the weights, and weighted sums
// of values [head_dim][PANEL].
AI size_t attention_workspace_bytes(size_t pitch) { return 4 * PANEL * (KEY_BLOCK + pitch); }

static size_t kernel_attention_scratch(int threads, size_t tokens, size_t segments, size_t heads,
                                       size_t kv_heads, size_t head_dim, ink_precision precision) {
    size_t pitch = attention_pitch(head_dim);
    size_t bytes = attention_rows(tokens, segments) * pitch * element_size(precision);
    return (heads + 2 * kv_heads) * bytes + (size_t)threads * attention_workspace_bytes(pitch);
}

// Address of a head's packed queries (keys, values) from a segment's row on.
AI char *packed_at(const attention_plan *plan, char *base, size_t head, size_t segment,
                   size_t row) {
    row += head * plan->rows + plan->p->offsets[segment] + segment * GROUP;
    return base + row * plan->pitch * element_size(plan->p->precision);
}

// Segment of a task, given `per_block` tasks for every `block` rows; `index` becomes relative to
// it.
AI size_t find_segment(const size_t *offsets, size_t block, size_t per_block, size_t *index) {
    for (size_t segment = 0;; segment++) {
        size_t count = offsets[segment + 1] - offsets[segment];
        size_t tasks = (count + block - 1) / block * per_block;
        if (*index < tasks) return segment;
        *index -= tasks;
    }
}

AI size_t count_tasks(const size_t *offsets, size_t segments, size_t block, size_t per_block) {
    size_t tasks = 0;
    for (size_t s = 0; s < segments; s++)
        tasks += (offsets[s + 1] - offsets[s] + block - 1) / block * per_block;
    return tasks;
}

// MARK: - Packing

// Converts one row to the product's precision, with zeros up to `pitch`.
AI void convert_row(const ink_precision precision, const float *from, size_t dim, size_t pitch,
                    char *to) {
    ink_output out = {to, pitch, precision};
    for (size_t i = 0; i < dim; i += LANES) {
        size_t n = smaller(LANES, dim - i);
        store_operand(&out, 0, i, load_some(from + i, n, 0), n);
    }
    pad_operand(&out, 0, dim);
}

// Packs a panel: word `step` of each query across the lanes; queries from `count` on are zeros.
AI void pack_queries(const ink_precision precision, const float *q, size_t stride, size_t count,
                     size_t dim, uint32_t *to) {
    enum { CHUNK = 2 * LANES };  // features at a time
    size_t words = CHUNK * element_size(precision) / 4;
    for (size_t half = 0; half < PANEL; half += LANES)
        for (size_t i = 0; i < dim; i += CHUNK) {
            _Alignas(64) char lines[LANES][CHUNK * 4];
            for (size_t j = 0; j < LANES; j++) {
                if (half + j < count)
                    convert_row(precision, q + (half + j) * stride + i, smaller(CHUNK, dim - i),
                                CHUNK, lines[j]);
                else memset(lines[j], 0, sizeof lines[j]);
            }
            for (size_t word = 0; word < words; word += LANES) {
                vu x[LANES];
                UNROLLED
                for (size_t j = 0; j < LANES; j++) memcpy(&x[j], lines[j] + word * 4, sizeof(vu));
                transpose(x);
                uint32_t *out = to + (i / CHUNK * words + word) * PANEL + half;
                UNROLLED
                for (size_t j = 0; j < LANES; j++) *(vu_u *)(out + j * PANEL) = x[j];
            }
        }
    pair_steps(precision, to, depth_steps(dim, precision));
}

// Transposes the values of a group of tokens: one feature per row, rows `words` words apart. A word
// is one f32 value or the bf16 values of two tokens.
AI void pack_values(const ink_precision precision, const float *v, size_t stride, size_t count,
                    size_t dim, size_t words, uint32_t *to) {
    size_t tokens = 4 / element_size(precision);
    for (size_t i = 0; i < dim; i += LANES) {
        size_t n = smaller(LANES, dim - i);
        for (size_t word = 0; word < GROUP / tokens; word += LANES) {
            vu x[LANES];
            UNROLLED
            for (size_t j = 0; j < LANES; j++) {
                size_t token = (word + j) * tokens;
                const float *row = v + token * stride + i;
                vf first = token < count ? load_some(row, n, 0) : splat(0);
                x[j] = (vu)first;
                if (precision == INK_BF16) {
                    vf second = token + 1 < count ? load_some(row + stride, n, 0) : splat(0);
                    x[j] = bf16_word(first) | bf16_word(second) << 16;
                }
            }
            transpose(x);
            UNROLLED
            for (size_t j = 0; j < LANES; j++)
                if (j < n) *(vu_u *)(to + (i + j) * words + word) = x[j];
        }
    }
}

// Packs queries, keys or values of a group of tokens for all heads, so that memory is read by rows.
AI void pack_group(const ink_precision precision, const attention_plan *plan, size_t index) {
    const ink_attention *p = plan->p;
    size_t segment = find_segment(p->offsets, GROUP, 3, &index), part = index % 3;
    size_t first = index / 3 * GROUP, start = p->offsets[segment];
    size_t total = p->offsets[segment + 1] - start, count = smaller(GROUP, total - first);
    size_t dim = p->head_dim, size = element_size(precision);
    const float *from = (part == 0 ? p->q : part == 1 ? p->k : p->v) + (start + first) * p->stride;
    if (part == 1) {
        for (size_t i = 0; i < count; i++)
            for (size_t head = 0; head < p->kv_heads; head++)
                convert_row(precision, from + i * p->stride + head * dim, dim, plan->pitch,
                            packed_at(plan, plan->keys, head, segment, first + i));
        return;
    }
    if (part == 0) {
        size_t query_count = p->queries[segment + 1] - p->queries[segment];
        if (first >= query_count) return;
        count = smaller(GROUP, query_count - first);
        for (size_t head = 0; head < p->heads; head++)
            for (size_t i = 0; i < count; i += PANEL)
                pack_queries(precision, from + i * p->stride + head * dim, p->stride, count - i,
                             dim,
                             (uint32_t *)packed_at(plan, plan->queries, head, segment, first + i));
        return;
    }
    size_t block = first / KEY_BLOCK * KEY_BLOCK;
    size_t words = rounded_up(smaller(KEY_BLOCK, total - block), GROUP) * size / 4;
    for (size_t head = 0; head < p->kv_heads; head++)
        pack_values(precision, from + head * dim, p->stride, count, dim, words,
                    (uint32_t *)packed_at(plan, plan->values, head, segment, block) +
                        (first - block) * size / 4);
}

static void pack_task_f32(void *plan, size_t index, int thread) {
    (void)thread;
    pack_group(INK_F32, plan, index);
}

static void pack_task_bf16(void *plan, size_t index, int thread) {
    (void)thread;
    pack_group(INK_BF16, plan, index);
}

// MARK: - Softmax

// 2^x: x = n + f, a minimax polynomial in f, and 2^n by exponent arithmetic. Relative error 7.5e-5
// for results that are rounded to bf16 (2e-3), else 2e-9 plus rounding. For x <= -126 the result is
// at most 1.2e-38.
AI vf power_of_two(const ink_precision precision, vf x) {
#ifdef INK_SCALE
    if (precision == INK_BF16) {
        vf f = INK_FRACTION(x);  // n rounds down
        vf y = f * 0.07802452147f + 0.2260671556f;
        y = y * f + 0.6958335638f;
        return INK_SCALE(y * f + 0.9999251962f, x);
    }
#endif
    x = at_least(x, -126.0f);
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    vf shifted = x + magic;
    vf f = x - (shifted - magic);
    vf y;
    if (precision == INK_BF16) {
        y = f * 0.0551716685f + 0.2426111251f;
        y = y * f + 0.6932609677f;
        y = y * f + 0.9999280572f;
    } else {
        y = f * 0.0001534581243f + 0.001339993090f;
        y = y * f + 0.009618489072f;
        y = y * f + 0.05550328642f;
        y = y * f + 0.2402264625f;
        y = y * f + 0.6931471825f;
        y = y * f + 1.0f;
    }
    return (vf)((vi)y + ((vi)shifted << 23));
}

// Score of a key that is masked for a query; all other scores are larger.
#define MASKED_SCORE -3e38f

// Replaces scores by unnormalised softmax weights: rows of f32, or a panel of bf16 pairs. Adds the
// weights to `running_sum`.
AI void exponentiate(const ink_precision precision, const int masked, float *scores, size_t count,
                     float factor, const vf *shift, vf *running_sum) {
    typedef uint32_t __attribute__((may_alias)) word;
    typedef float __attribute__((may_alias)) number;
    vf sum[2] = {splat(0), splat(0)};
    size_t step = precision == INK_BF16 ? 2 : 1;
    for (size_t key = 0; key < count; key += step) {
        UNROLLED
        for (size_t half = 0; half < 2; half++) {
            number *from = (number *)scores + key * PANEL + half * LANES;
            vu bits[2] = {(vu)(0), (vu)(0)};
            UNROLLED
            for (size_t i = 0; i < step; i++) {
                if (key + i >= count) break;
                vf s = *(const vf_u *)(from + i * PANEL);
                vf e = power_of_two(precision, s * factor - shift[half]);
                if (masked) e = choose(s == splat(MASKED_SCORE), splat(0), e);
                sum[half] += e;
                bits[i] = (vu)e;
            }
            // Rounds half up. A NaN may be lost here but is kept in the sum, the divisor of all.
            if (precision == INK_BF16)
                bits[0] = (bits[0] + 0x8000u) >> 16 | ((bits[1] + 0x8000u) & 0xffff0000u);
            *(vu_u *)((word *)scores + key / step * PANEL + half * LANES) = bits[0];
        }
    }
    pair_steps(precision, (uint32_t *)scores, depth_steps(count, precision));
    running_sum[0] += sum[0];
    running_sum[1] += sum[1];
}

// Causal mask: masks the keys after each query; `ahead` is the distance from the tile's first key
// to the panel's first query.
AI void mask_later_keys(const int mr, ptrdiff_t ahead, vf sum[][2]) {
    vi lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    UNROLLED
    for (int r = 0; r < mr; r++) {
        int32_t limit = (int32_t)(r - ahead);  // queries in lanes below it precede this key
        sum[r][0] = choose(lane < limit, splat(MASKED_SCORE), sum[r][0]);
        sum[r][1] = choose(lane < limit - LANES, splat(MASKED_SCORE), sum[r][1]);
    }
}

// Prefetches the rows of the next tile: a tile reads more streams in parallel than the hardware
// prefetcher tracks.
AI void prefetch(const char *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

AI void attend_panel(const ink_precision precision, const attention_plan *plan, size_t index,
                     int thread) {
    const ink_attention *p = plan->p;
    size_t segment = find_segment(p->queries, PANEL, p->heads, &index);
    size_t count = p->offsets[segment + 1] - p->offsets[segment];
    size_t start = p->queries[segment], query_count = p->queries[segment + 1] - start;
    size_t panels = (query_count + PANEL - 1) / PANEL;
    size_t head = index / panels, query0 = index % panels * PANEL;
    size_t queries = smaller(PANEL, query_count - query0),
           kv_head = head / (p->heads / p->kv_heads);
    size_t dim = p->head_dim, size = element_size(precision), pitch = plan->pitch;
    size_t steps = depth_steps(dim, precision);
    const uint32_t *q = (uint32_t *)packed_at(plan, plan->queries, head, segment, query0);
    const char *keys = packed_at(plan, plan->keys, kv_head, segment, 0);
    const char *values = packed_at(plan, plan->values, kv_head, segment, 0);
    float *scores = (float *)(plan->workspaces + (size_t)thread * plan->workspace_bytes);
    float *out = scores + KEY_BLOCK * PANEL;

    float factor = p->scale * 1.44269504088896341f;  // exponentials are computed as powers of two
    vf running_max[2] = {splat(MASKED_SCORE), splat(MASKED_SCORE)},
       running_sum[2] = {splat(0), splat(0)};
    vf shift[2] = {running_max[0] * factor, running_max[1] * factor};
    size_t key_end = p->causal ? query0 + queries : count;
    for (size_t key0 = 0; key0 < key_end; key0 += KEY_BLOCK) {
        size_t block = smaller(KEY_BLOCK, key_end - key0), is_first = key0 == 0;
        int masked = p->causal && key0 + block > query0 + 1;
        const void *rows[ROWS];
#define TILE(N)                                                                                   \
    {                                                                                             \
        for (int r = 0; r < (N); r++) rows[r] = keys + (key0 + first + (size_t)r) * pitch * size; \
        prefetch((const char *)rows[0] + (N) * pitch * size, (N) * pitch * size);                 \
        vf sum[N][2];                                                                             \
        clear_sums(N, sum);                                                                       \
        accumulate(N, precision, rows, 0, steps, q, sum);                                         \
        if (masked) mask_later_keys(N, (ptrdiff_t)query0 - (ptrdiff_t)(key0 + first), sum);       \
        UNROLLED                                                                                  \
        for (int r = 0; r < (N); r++) UNROLLED                                                    \
        for (int half = 0; half < 2; half++) {                                                    \
            running_max[half] =                                                                   \
                choose(sum[r][half] > running_max[half], sum[r][half], running_max[half]);        \
            store(scores + (first + (size_t)r) * PANEL + half * LANES, sum[r][half]);             \
        }                                                                                         \
    }
        FOR_ROW_GROUPS(block, first, TILE)
#undef TILE
        vf rescale[2];
        for (int half = 0; half < 2; half++) {
            vf now = running_max[half] * factor;
            rescale[half] = power_of_two(precision, shift[half] - now);
            running_sum[half] *= rescale[half];
            shift[half] = now;
        }
        if (masked) exponentiate(precision, 1, scores, block, factor, shift, running_sum);
        else exponentiate(precision, 0, scores, block, factor, shift, running_sum);
        size_t row_bytes = rounded_up(smaller(KEY_BLOCK, count - key0), GROUP) * size;
        const char *block_values = values + key0 * pitch * size;
#define TILE(N)                                                                                 \
    {                                                                                           \
        for (int r = 0; r < (N); r++) rows[r] = block_values + (first + (size_t)r) * row_bytes; \
        prefetch((const char *)rows[0] + (N) * row_bytes, (N) * row_bytes);                     \
        vf sum[N][2];                                                                           \
        clear_sums(N, sum);                                                                     \
        accumulate(N, precision, rows, 0, depth_steps(block, precision), scores, sum);          \
        UNROLLED                                                                                \
        for (int r = 0; r < (N); r++) UNROLLED                                                  \
        for (int half = 0; half < 2; half++) {                                                  \
            float *to = out + (first + (size_t)r) * PANEL + half * LANES;                       \
            vf x = sum[r][half];                                                                \
            if (!is_first) x += load(to) * rescale[half];                                       \
            store(to, x);                                                                       \
        }                                                                                       \
    }
        FOR_ROW_GROUPS(dim, first, TILE)
#undef TILE
    }

    for (size_t half = 0; half < 2; half++) {
        vf inverse_sum = splat(1) / running_sum[half];
        for (size_t i = 0; i < dim; i += LANES) {
            size_t n = smaller(LANES, dim - i);
            vu x[LANES];
            UNROLLED
            for (size_t j = 0; j < LANES; j++)
                x[j] = j < n ? (vu)(load(out + (i + j) * PANEL + half * LANES) * inverse_sum)
                             : (vu)(0);
            transpose(x);
            UNROLLED
            for (size_t j = 0; j < LANES; j++)
                if (half * LANES + j < queries)
                    store_operand(&p->out, start + query0 + half * LANES + j, head * dim + i,
                                  (vf)x[j], n);
        }
    }
    if (head + 1 == p->heads)
        for (size_t r = 0; r < queries; r++)
            pad_operand(&p->out, start + query0 + r, p->heads * dim);
}

static void attend_task_f32(void *plan, size_t index, int thread) {
    attend_panel(INK_F32, plan, index, thread);
}

static void attend_task_bf16(void *plan, size_t index, int thread) {
    attend_panel(INK_BF16, plan, index, thread);
}

static void kernel_attend(ink_pool *pool, const ink_attention *p) {
    int narrow = p->precision == INK_BF16;
    attention_plan plan = {.p = p, .pitch = attention_pitch(p->head_dim)};
    plan.rows = attention_rows(p->offsets[p->segments], p->segments);
    size_t bytes = plan.rows * plan.pitch * element_size(p->precision);
    plan.queries = p->scratch;
    plan.keys = plan.queries + p->heads * bytes;
    plan.values = plan.keys + p->kv_heads * bytes;
    plan.workspaces = plan.values + p->kv_heads * bytes;
    plan.workspace_bytes = attention_workspace_bytes(plan.pitch);
    ink_pool_run(pool, count_tasks(p->offsets, p->segments, GROUP, 3),
                 narrow ? pack_task_bf16 : pack_task_f32, &plan);
    ink_pool_run(pool, count_tasks(p->queries, p->segments, PANEL, p->heads),
                 narrow ? attend_task_bf16 : attend_task_f32, &plan);
}
