// Part of Inkstone. Licence: see LICENSE.
//
// The compiler's baseline: SSE2 on x86-64, NEON on aarch64.

#include "variants.h"

#pragma STDC FP_CONTRACT ON

#if defined(__x86_64__)
#include <emmintrin.h>
#define INK_MADD_16(a, b) _mm_madd_epi16((__m128i)(a), (__m128i)(b))
#endif
#define INK_LANES 4
#define INK_NAME "portable"
#define INK_NATIVE_BF16 0
#define INK_VARIANT ink_variant_portable
#include "template/table.h"
