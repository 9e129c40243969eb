// Part of Inkstone. Licence: see LICENSE.
//
// ARMv8.2 with dot products: Neoverse N1, Cortex-A55 and A76, Apple M1.

#include "variants.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma STDC FP_CONTRACT ON
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#define NEON_INT8_WORD(a) neon_word(a)
#define NEON_DOT_INT8(sum, a, b) vdotq_laneq_s32(sum, b, a, 0)
#include "neon.h"

#define INK_NAME "neondot"
#define INK_NATIVE_BF16 0
#define INK_VARIANT ink_variant_neondot
#include "template/table.h"

#pragma clang attribute pop
#endif
