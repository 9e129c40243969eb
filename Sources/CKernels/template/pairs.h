// Part of Inkstone. Licence: see LICENSE.
//
// Register tiles for instructions that multiply two rows by two columns. A variant that has them
// defines INK_PAIR_INT8 or INK_PAIR_BF16: (sum, a, b) adds to lane 2 i + j of `sum` the product of
// half i of `a`, a row, and half j of `b`, a column. A half is two steps, 8 bytes of depth: panels
// hold the two words of a column side by side. An odd last step is stored as in other panels.
//
// A last row without a partner is multiplied as a pair with itself: every row uses the same
// instruction, so that its sums do not depend on the other rows of the tile.

typedef uint32_t vq __attribute__((ext_vector_type(4)));
typedef vq vq_u __attribute__((aligned(4)));
typedef uint64_t word_pair __attribute__((aligned(4), may_alias));

enum { ROW_PAIRS = ROWS / 2, QUADS = PANEL / 4 };  // a quad is four columns: two pairs
_Static_assert(LANES == 8, "a vector is two quads");
_Static_assert(ROWS % 2 == 0, "whole tiles have no last row");

// Pair `i` of the columns of two rows' vectors, and the two rows of four pairs.
#define TO_PAIR(x, y, i) \
    (vq) __builtin_shufflevector(x, y, 2 * (i), 2 * (i) + 1, 2 * (i) + 8, 2 * (i) + 9)
#define FIRST_ROW(x, y) __builtin_shufflevector(x, y, 0, 1, 4, 5)
#define SECOND_ROW(x, y) __builtin_shufflevector(x, y, 2, 3, 6, 7)
#define JOIN(x, y) (vf) __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7)

AI void pair_sums(const int mr, vf sum[][2], vq acc[][QUADS][2]) {
    UNROLLED
    for (int r = 0; r < mr; r += 2) UNROLLED
    for (int half = 0; half < 2; half++) {
        vf x = sum[r][half], y = sum[mr == 1 ? r : r + 1][half];
        acc[r / 2][2 * half][0] = TO_PAIR(x, y, 0);
        acc[r / 2][2 * half][1] = TO_PAIR(x, y, 1);
        acc[r / 2][2 * half + 1][0] = TO_PAIR(x, y, 2);
        acc[r / 2][2 * half + 1][1] = TO_PAIR(x, y, 3);
    }
}

AI void unpair_sums(const int mr, vq acc[][QUADS][2], vf sum[][2]) {
    UNROLLED
    for (int r = 0; r < mr; r += 2) UNROLLED
    for (int half = 0; half < 2; half++) {
        const vq *x = acc[r / 2][2 * half], *y = acc[r / 2][2 * half + 1];
        sum[r][half] = JOIN(FIRST_ROW(x[0], x[1]), FIRST_ROW(y[0], y[1]));
        if (mr > 1) sum[r + 1][half] = JOIN(SECOND_ROW(x[0], x[1]), SECOND_ROW(y[0], y[1]));
    }
}

AI vq multiply_pair(const ink_precision precision, vq sum, vq a, vq b) {
#ifdef INK_PAIR_INT8
    if (precision == INK_INT8) return INK_PAIR_INT8(sum, a, b);
#endif
#ifdef INK_PAIR_BF16
    if (precision == INK_BF16) return INK_PAIR_BF16(sum, a, b);
#endif
    return sum;
}

// Two steps of all pairs of rows `a`, or with `is_single` the last one, whose words are apart.
AI void multiply_pairs(const int mr, const ink_precision precision, const int is_single,
                       const vq *a, const uint32_t *b, vq acc[][QUADS][2]) {
    UNROLLED
    for (int quad = 0; quad < QUADS; quad++) {
        vq first, second;
        if (is_single) {
            vq x = *(const vq_u *)(b + 4 * quad), zero = (vq)(0);
            first = __builtin_shufflevector(x, zero, 0, 4, 1, 5);
            second = __builtin_shufflevector(x, zero, 2, 6, 3, 7);
        } else {
            first = *(const vq_u *)(b + 8 * quad);
            second = *(const vq_u *)(b + 8 * quad + 4);
        }
        UNROLLED
        for (int r = 0; r < mr; r += 2) {
            vq *sums = acc[r / 2][quad];
            sums[0] = multiply_pair(precision, sums[0], a[r / 2], first);
            sums[1] = multiply_pair(precision, sums[1], a[r / 2], second);
        }
    }
}

// See `accumulate`.
AI void accumulate_pairs(const int mr, const ink_precision precision, const void *const *rows,
                         size_t offset, size_t steps, const void *panel, vf sum[][2]) {
    typedef uint64_t vd __attribute__((ext_vector_type(2)));
    const uint32_t *b = panel;
    const word *a[ROWS];
    vq acc[ROW_PAIRS][QUADS][2];
    UNROLLED
    for (int r = 0; r < mr; r++) a[r] = (const word *)((const char *)rows[r] + offset);
    pair_sums(mr, sum, acc);
    size_t k = 0;
    for (; k + 2 <= steps; k += 2, b += 2 * PANEL) {
        vq x[ROW_PAIRS];
        UNROLLED
        for (int r = 0; r < mr; r += 2) {
            const word *second = a[mr == 1 ? r : r + 1] + k;
            x[r / 2] = (vq)(vd){*(const word_pair *)(a[r] + k), *(const word_pair *)second};
        }
        multiply_pairs(mr, precision, 0, x, b, acc);
    }
    // The padded depth of int8 is whole pairs of steps.
    if (precision != INK_INT8 && k < steps) {
        vq x[ROW_PAIRS];
        UNROLLED
        for (int r = 0; r < mr; r += 2) x[r / 2] = (vq){a[r][k], 0, a[mr == 1 ? r : r + 1][k], 0};
        multiply_pairs(mr, precision, 1, x, b, acc);
    }
    unpair_sums(mr, acc, sum);
}
