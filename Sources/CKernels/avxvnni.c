// Part of Inkstone. Licence: see LICENSE.

#include "variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma STDC FP_CONTRACT ON
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)

#define INK_DOT_INT8(sum, a, b) \
    (vi)(_mm256_dpbusd_avx_epi32((__m256i)(sum), _mm256_set1_epi32((int)(a)), (__m256i)(b)))
#define INK_LANES 8
#define INK_NAME "avxvnni"
#define INK_NATIVE_BF16 0
#define INK_VARIANT ink_variant_avxvnni
#include "template/table.h"

#pragma clang attribute pop
#endif
