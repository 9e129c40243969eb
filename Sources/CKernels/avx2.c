// Part of Inkstone. Licence: see LICENSE.

#include "variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma STDC FP_CONTRACT ON
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#define INK_MADD_16(a, b) _mm256_madd_epi16((__m256i)(a), (__m256i)(b))
#define INK_LANES 8
#define INK_NAME "avx2"
#define INK_NATIVE_BF16 0
#define INK_VARIANT ink_variant_avx2
#include "template/table.h"

#pragma clang attribute pop
#endif
