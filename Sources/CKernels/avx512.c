// Part of Inkstone. Licence: see LICENSE.

#include "variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma STDC FP_CONTRACT ON
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), \
                             apply_to = function)

#define INK_MADD_16(a, b) _mm512_madd_epi16((__m512i)(a), (__m512i)(b))
#define INK_LANES 16
#define INK_NAME "avx512"
#define INK_NATIVE_BF16 0
#define INK_VARIANT ink_variant_avx512
#include "template/table.h"

#pragma clang attribute pop
#endif
