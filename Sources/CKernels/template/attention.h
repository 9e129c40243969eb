// Part of Inkstone. Licence: see LICENSE.
//
// Softmax attention, block by block over the keys with running maxima, so that no score matrix is
// ever stored. Key blocks are counted from the start of each sequence: a query's arithmetic is the
// same whatever else is in the batch.

enum { QUERY_BLOCK = 48, KEY_BLOCK = 512 };

typedef struct {
    const ink_attention *p;
    size_t depth;       // head_dim, padded for the precision
    size_t value_width; // head_dim in whole panels
    size_t key_rows;    // rows of scratch per kv head: tokens + a panel of slack per segment
    char *keys, *values, *workers;
    size_t worker_bytes;
} attention_plan;

AI size_t attention_depth(size_t head_dim, ink_precision precision) {
    return precision == INK_BF16 ? (head_dim + 1) & ~(size_t)1 : head_dim;
}

AI size_t attention_worker_bytes(size_t depth, size_t value_width) {
    size_t floats = QUERY_BLOCK * (depth + 2 * KEY_BLOCK + value_width + 3);
    return rounded_up(floats * 4, 64);
}

static size_t kernel_attention_scratch(int threads, size_t tokens, size_t segments, size_t kv_heads,
                                       size_t head_dim, ink_precision precision) {
    size_t depth = attention_depth(head_dim, precision), width = rounded_up(head_dim, PANEL);
    size_t rows = tokens + segments * PANEL;
    return rounded_up(kv_heads * rows * depth * element_size(precision), 64) +
           rounded_up(kv_heads * rows * width * element_size(precision), 64) +
           (size_t)threads * attention_worker_bytes(depth, width) + 64;
}

AI char *segment_keys(const attention_plan *plan, size_t head, size_t segment) {
    size_t row = head * plan->key_rows + plan->p->offsets[segment] + segment * PANEL;
    return plan->keys + row * plan->depth * element_size(plan->p->precision);
}

AI char *segment_values(const attention_plan *plan, size_t head, size_t segment) {
    size_t row = head * plan->key_rows + plan->p->offsets[segment] + segment * PANEL;
    return plan->values + row * plan->value_width * element_size(plan->p->precision);
}

// Stores keys as panels over tokens, values as panels over features.
static void pack_keys_values(void *context, size_t index, int worker) {
    (void)worker;
    const attention_plan *plan = context;
    const ink_attention *p = plan->p;
    size_t segment = index / p->kv_heads, head = index % p->kv_heads;
    size_t start = p->offsets[segment], count = p->offsets[segment + 1] - start;
    size_t dim = p->head_dim, depth = plan->depth;
    const float *k = p->k + start * p->stride + head * dim;
    const float *v = p->v + start * p->stride + head * dim;
    char *keys = segment_keys(plan, head, segment), *values = segment_values(plan, head, segment);
    if (p->precision == INK_F32) {
        for (size_t panel = 0; panel * PANEL < count; panel++) {
            float *out = (float *)keys + panel * PANEL * depth;
            for (size_t j = 0; j < PANEL; j++) {
                size_t token = panel * PANEL + j;
                for (size_t i = 0; i < dim; i++)
                    out[i * PANEL + j] = token < count ? k[token * p->stride + i] : 0;
            }
        }
        for (size_t panel = 0; panel * PANEL < dim; panel++) {
            float *out = (float *)values + panel * PANEL * count;
            for (size_t token = 0; token < count; token++)
                for (size_t j = 0; j < PANEL; j++) {
                    size_t i = panel * PANEL + j;
                    out[token * PANEL + j] = i < dim ? v[token * p->stride + i] : 0;
                }
        }
        return;
    }
    enum { CHUNK = 64 };
    for (size_t panel = 0; panel * PANEL < count; panel++) {
        uint32_t *out = (uint32_t *)keys + panel * PANEL * (depth / 2);
        for (size_t j = 0; j < PANEL; j++) {
            size_t token = panel * PANEL + j;
            for (size_t i = 0; i < depth; i += CHUNK) {
                _Alignas(64) uint16_t line[CHUNK] = {0};
                size_t stored = token < count ? smaller(CHUNK, dim - i) : 0;
                for (size_t c = 0; c < stored; c += LANES) {
                    size_t n = smaller(LANES, stored - c);
                    store_bf16(line + c, load_some(k + token * p->stride + i + c, n, 0), n);
                }
                uint32_t pairs[CHUNK / 2];
                memcpy(pairs, line, sizeof pairs);
                size_t end = smaller(CHUNK, depth - i) / 2;
                for (size_t c = 0; c < end; c++) out[(i / 2 + c) * PANEL + j] = pairs[c];
            }
        }
    }
    size_t even = (count + 1) & ~(size_t)1;
    for (size_t panel = 0; panel * PANEL < dim; panel++) {
        uint32_t *out = (uint32_t *)values + panel * PANEL * (even / 2);
        for (size_t token = 0; token < even; token += 2)
            for (size_t j = 0; j < PANEL; j += LANES) {
                size_t i = panel * PANEL + j, n = i < dim ? smaller(LANES, dim - i) : 0;
                const float *row = v + token * p->stride + i;
                vf first = n ? load_some(row, n, 0) : splat(0);
                vf second = n && token + 1 < count ? load_some(row + p->stride, n, 0) : splat(0);
                vu pair = bf16_bits(first) | bf16_bits(second) << 16;
                *(vu_u *)(out + token / 2 * PANEL + j) = pair;
            }
    }
}

// Softmax numerators of one row of scores; returns their sum. Entries from `valid` on become 0.
AI float exponentiate_row(float *scores, uint16_t *packed, size_t valid, size_t padded, float most) {
    vf total = splat(0);
    for (size_t i = 0; i < padded; i += LANES) {
        vf e = splat(0);
        if (i < valid) {
            size_t count = smaller(LANES, valid - i);
            e = exponential(load(scores + i) - most);
            if (count < LANES)
                for (size_t lane = count; lane < LANES; lane++) e[lane] = 0;
            total += e;
        }
        if (packed) store_bf16(packed + i, e, LANES);
        else store(scores + i, e);
    }
    return sum_lanes(total);
}

AI void attend_block(const ink_precision precision, const attention_plan *plan, size_t index,
                     int worker) {
    const ink_attention *p = plan->p;
    size_t segment = 0, start = 0, count = 0, blocks = 0;
    for (;; segment++) {
        start = p->offsets[segment];
        count = p->offsets[segment + 1] - start;
        blocks = (count + QUERY_BLOCK - 1) / QUERY_BLOCK;
        if (index < blocks * p->heads) break;
        index -= blocks * p->heads;
    }
    size_t head = index / blocks, query0 = index % blocks * QUERY_BLOCK;
    size_t queries = smaller(QUERY_BLOCK, count - query0);
    size_t kv_head = head / (p->heads / p->kv_heads);
    size_t dim = p->head_dim, depth = plan->depth, width = plan->value_width;
    const char *keys = segment_keys(plan, kv_head, segment);
    const char *values = segment_values(plan, kv_head, segment);
    size_t value_rows = precision == INK_BF16 ? (count + 1) & ~(size_t)1 : count;
    size_t size = element_size(precision), dim_steps = depth_steps(dim, precision);

    float *q = (float *)(plan->workers + (size_t)worker * plan->worker_bytes);
    float *scores = q + QUERY_BLOCK * depth;
    uint16_t *packed = (uint16_t *)(scores + QUERY_BLOCK * KEY_BLOCK);
    float *out = scores + 2 * QUERY_BLOCK * KEY_BLOCK;
    float *most = out + QUERY_BLOCK * width, *total = most + QUERY_BLOCK;
    float *fade = total + QUERY_BLOCK;

    for (size_t r = 0; r < queries; r++) {
        const float *row = p->q + (start + query0 + r) * p->stride + head * dim;
        if (precision == INK_BF16) {
            uint16_t *to = (uint16_t *)q + r * depth;
            for (size_t i = 0; i < dim; i += LANES) {
                size_t n = smaller(LANES, dim - i);
                store_bf16(to + i, load_some(row + i, n, 0), n);
            }
            if (depth > dim) to[dim] = 0;
        } else {
            memcpy(q + r * depth, row, dim * 4);
        }
        most[r] = -3e38f;
        total[r] = 0;
    }
    memset(out, 0, queries * width * 4);

    size_t reach = p->causal ? query0 + queries : count;
    for (size_t key0 = 0; key0 < reach; key0 += KEY_BLOCK) {
        size_t block = smaller(KEY_BLOCK, count - key0);
        size_t key_steps = depth_steps(block, precision);
        for (size_t panel = 0; panel * PANEL < block; panel++) {
            const char *weights = keys + (key0 + panel * PANEL) * depth * size;
#define TILE(N)                                                                          \
            {                                                                            \
                const void *rows[ROWS];                                                  \
                for (int r = 0; r < (N); r++)                                            \
                    rows[r] = (const char *)q + (first + (size_t)r) * depth * size;      \
                vf sum[N][2];                                                            \
                clear_sums(N, sum); accumulate(N, precision, rows, 0, dim_steps, weights, sum);                    \
                for (int r = 0; r < (N); r++) {                                          \
                    float *to = scores + (first + (size_t)r) * KEY_BLOCK + panel * PANEL; \
                    store(to, sum[r][0] * p->scale);                                     \
                    store(to + LANES, sum[r][1] * p->scale);                             \
                }                                                                        \
            }
            FOR_ROW_GROUPS(queries, first, TILE)
#undef TILE
        }
        size_t padded = rounded_up(block, PANEL);
        for (size_t r = 0; r < queries; r++) {
            float *row = scores + r * KEY_BLOCK;
            size_t valid = block;
            if (p->causal) {
                size_t seen = query0 + r + 1;
                valid = seen > key0 ? smaller(block, seen - key0) : 0;
            }
            vf high = splat(most[r]);
            for (size_t i = 0; i < valid; i += LANES) {
                vf x = load_some(row + i, valid - i, -3e38f);
                high = choose(x > high, x, high);
            }
            float top = max_lanes(high);
            fade[r] = exponential(splat(most[r] - top))[0];
            uint16_t *narrow = precision == INK_BF16 ? packed + r * KEY_BLOCK : NULL;
            float sum = exponentiate_row(row, narrow, valid, padded, top);
            total[r] = total[r] * fade[r] + sum;
            most[r] = top;
        }
        for (size_t panel = 0; panel * PANEL < dim; panel++) {
            const char *weights = values + (panel * value_rows + key0) * PANEL * size;
            const char *left = precision == INK_BF16 ? (const char *)packed : (const char *)scores;
#define TILE(N)                                                                          \
            {                                                                            \
                const void *rows[ROWS];                                                  \
                for (int r = 0; r < (N); r++)                                            \
                    rows[r] = left + (first + (size_t)r) * KEY_BLOCK * size;             \
                vf sum[N][2];                                                            \
                clear_sums(N, sum); accumulate(N, precision, rows, 0, key_steps, weights, sum);                  \
                for (int r = 0; r < (N); r++) {                                          \
                    float *to = out + (first + (size_t)r) * width + panel * PANEL;       \
                    float keep = fade[first + (size_t)r];                                \
                    store(to, load(to) * keep + sum[r][0]);                              \
                    store(to + LANES, load(to + LANES) * keep + sum[r][1]);              \
                }                                                                        \
            }
            FOR_ROW_GROUPS(queries, first, TILE)
#undef TILE
        }
    }
    for (size_t r = 0; r < queries; r++) {
        float scale = 1 / total[r];
        size_t token = start + query0 + r;
        for (size_t i = 0; i < dim; i += LANES)
            store_operand(&p->out, token, head * dim + i, load(out + r * width + i) * scale,
                          smaller(LANES, dim - i));
        if (head + 1 == p->heads) pad_operand(&p->out, token, p->heads * dim);
    }
}

static void attend_task_f32(void *plan, size_t index, int worker) {
    attend_block(INK_F32, plan, index, worker);
}

static void attend_task_bf16(void *plan, size_t index, int worker) {
    attend_block(INK_BF16, plan, index, worker);
}

static void kernel_attend(ink_pool *pool, const ink_attention *p) {
    attention_plan plan = {.p = p};
    size_t tokens = p->offsets[p->segments], size = element_size(p->precision);
    plan.depth = attention_depth(p->head_dim, p->precision);
    plan.value_width = rounded_up(p->head_dim, PANEL);
    plan.key_rows = tokens + p->segments * PANEL;
    plan.keys = p->scratch;
    plan.values = plan.keys + rounded_up(p->kv_heads * plan.key_rows * plan.depth * size, 64);
    plan.workers =
        plan.values + rounded_up(p->kv_heads * plan.key_rows * plan.value_width * size, 64);
    plan.worker_bytes = attention_worker_bytes(plan.depth, plan.value_width);
    ink_pool_run(pool, p->segments * p->kv_heads, pack_keys_values, &plan);
    size_t tasks = 0;
    for (size_t s = 0; s < p->segments; s++) {
        size_t count = p->offsets[s + 1] - p->offsets[s];
        tasks += (count + QUERY_BLOCK - 1) / QUERY_BLOCK * p->heads;
    }
    ink_pool_run(pool, tasks, p->precision == INK_BF16 ? attend_task_bf16 : attend_task_f32, &plan);
}
