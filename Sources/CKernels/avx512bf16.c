// Part of Inkstone. Licence: see LICENSE.

#include "variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma STDC FP_CONTRACT ON
#pragma clang attribute push(                                                                \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma"))), \
    apply_to = function)

// VDPBF16PS adds the two products of a pair without intermediate rounding and flushes denormals.
#define INK_DOT_BF16(sum, a, b) \
    (vf)(_mm512_dpbf16_ps((__m512)(sum), (__m512bh)_mm512_set1_epi32((int)(a)), (__m512bh)(b)))
// x - floor(x), and x * 2^floor(n); both propagate NaN.
#define INK_FRACTION(x) (vf)(_mm512_reduce_ps((__m512)(x), 0x09))
#define INK_SCALE(x, n) (vf)(_mm512_scalef_ps((__m512)(x), (__m512)(n)))
// Relative error 2^-14; 0 for infinity.
#define INK_RECIPROCAL(x) (vf)(_mm512_rcp14_ps((__m512)(x)))
#define INK_TO_BF16(x) (vh)(_mm512_cvtneps_pbh((__m512)(x)))
#define INK_DOT_INT8(sum, a, b) \
    (vi)(_mm512_dpbusd_epi32((__m512i)(sum), _mm512_set1_epi32((int)(a)), (__m512i)(b)))
#define INK_LANES 16
#define INK_NAME "avx512bf16"
#define INK_NATIVE_BF16 1
#define INK_VARIANT ink_variant_avx512bf16
#include "template/table.h"

#pragma clang attribute pop
#endif
