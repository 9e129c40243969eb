// Part of Inkstone. Licence: see LICENSE.
//
// The peak rate of multiply-adds, the measure of all other kernels: those of a register tile, on
// registers alone. The compiler knows neither the factors, which come from memory, nor that they
// stay the same from row to row, so that it can leave no multiplication out.

// Multiplies a word of a row by words of a panel: half of it where factors are widened, two in
// pairs.
AI vf dot_word(const ink_precision precision, vf sum, uint32_t a, vu b) {
#if defined(INK_PAIR_INT8) || defined(INK_PAIR_BF16)
    if (is_paired(precision)) {
        vu sums = (vu)sum;
        sums.lo = multiply_pair(precision, sums.lo, (vq)(a), b.lo);
        sums.hi = multiply_pair(precision, sums.hi, (vq)(a), b.hi);
        return (vf)sums;
    }
#endif
    if (is_widened(precision)) return multiply_wide(precision, sum, INK_SPLAT_WORD(a), b);
    if (precision == INK_INT8) return (vf)dot_int8((vi)sum, a, b);
    return precision == INK_BF16 ? dot_bf16(sum, a, b) : dot_f32(sum, a, b);
}

AI double spin(const ink_precision precision, size_t iterations) {
    enum { STEPS = 64 };
    // Bytes, and numbers in f32 and bf16, of ordinary size.
    static volatile uint32_t factors[2] = {0x3c013c01u, 0x3d023d02u};
    uint32_t a = factors[0];
    vu b[2] = {(vu)(factors[1]), (vu)(factors[1])};
    vf total = splat(0);
    for (size_t i = 0; i < iterations; i++) {
        vf sum[ROWS][2];
        clear_sums(ROWS, sum);
        UNROLLED
        for (int r = 0; r < ROWS; r++) {
            OPAQUE(sum[r][0]);
            OPAQUE(sum[r][1]);
        }
        // Not unrolled, so that the machine code can be checked by counting: see Tests/kernels.
#pragma clang loop unroll(disable)
        for (int k = 0; k < STEPS; k++) {
            UNROLLED
            for (int r = 0; r < ROWS; r++) {
                UNROLLED
                for (int half = 0; half < 2; half++) {
                    OPAQUE(b[half]);
                    sum[r][half] = dot_word(precision, sum[r][half], a, b[half]);
                }
            }
        }
        UNROLLED
        for (int r = 0; r < ROWS; r++) total += sum[r][0] + sum[r][1];
    }
    size_t depth = 4 / element_size(precision) * (is_paired(precision) ? 2 : 1) /
                   (is_widened(precision) ? 2 : 1);
    double operations = 2.0 * ROWS * PANEL * STEPS * (double)(depth * iterations);
    // Never true; without it nothing of the above would be left.
    return sum_lanes(total) == 1 ? 0 : operations;
}

// Functions of their own, which `Tests/kernels/count_instructions.py` finds in the object files.
#define SPIN(NAME, PRECISION)                                         \
    static __attribute__((noinline)) double NAME(size_t iterations) { \
        return spin(PRECISION, iterations);                           \
    }
SPIN(spin_f32, INK_F32)
SPIN(spin_bf16, INK_BF16)
SPIN(spin_int8, INK_INT8)
#undef SPIN

static double kernel_spin(ink_precision precision, size_t iterations) {
    if (precision == INK_INT8) return spin_int8(iterations);
    return precision == INK_BF16 ? spin_bf16(iterations) : spin_f32(iterations);
}
