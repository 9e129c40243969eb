// Part of Inkstone. Licence: see LICENSE.
//
// Matrix products of int8, without those of bf16.

#include "variants.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma STDC FP_CONTRACT ON
#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)

#define INK_PAIR_INT8(sum, a, b) (vq)(vmmlaq_s32((int32x4_t)(sum), (int8x16_t)(a), (int8x16_t)(b)))
#include "neon.h"

#define INK_NAME "neoni8mm"
#define INK_NATIVE_BF16 0
#define INK_VARIANT ink_variant_neoni8mm
#include "template/table.h"

#pragma clang attribute pop
#endif
