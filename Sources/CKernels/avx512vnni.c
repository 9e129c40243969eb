// Part of Inkstone. Licence: see LICENSE.

#include "variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma STDC FP_CONTRACT ON
#pragma clang attribute push(                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))), \
    apply_to = function)

#define INK_DOT_INT8(sum, a, b) \
    (vi)(_mm512_dpbusd_epi32((__m512i)(sum), _mm512_set1_epi32((int)(a)), (__m512i)(b)))
#define INK_LANES 16
#define INK_NAME "avx512vnni"
#define INK_NATIVE_BF16 0
#define INK_VARIANT ink_variant_avx512vnni
#include "template/table.h"

#pragma clang attribute pop
#endif
