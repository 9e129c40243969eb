// Part of Inkstone. Licence: see LICENSE.
//
// ARMv8.6: Neoverse V1, N2 and later, Cortex-A510 and A710, Apple M2.

#include "variants.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma STDC FP_CONTRACT ON
#pragma clang attribute push(__attribute__((target("dotprod,i8mm,bf16"))), apply_to = function)

#define INK_PAIR_INT8(sum, a, b) (vq)(vmmlaq_s32((int32x4_t)(sum), (int8x16_t)(a), (int8x16_t)(b)))
// BFMMLA adds two pairs of products in order. It rounds each product and each sum to odd, and
// flushes denormals.
#define INK_PAIR_BF16(sum, a, b) \
    (vq)(vbfmmlaq_f32((float32x4_t)(sum), (bfloat16x8_t)(a), (bfloat16x8_t)(b)))
#include "neon.h"

// To nearest even, as `bf16_bits`.
#define INK_TO_BF16(x)                                                       \
    (vh)(vcvtq_high_bf16_f32(vcvtq_low_bf16_f32((float32x4_t)(NEON_LOW(x))), \
                             (float32x4_t)(NEON_HIGH(x))))
#define INK_NAME "neonbf16"
#define INK_NATIVE_BF16 1
#define INK_VARIANT ink_variant_neonbf16
#include "template/table.h"

#pragma clang attribute pop
#endif
