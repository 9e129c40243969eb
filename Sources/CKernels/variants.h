// Part of Inkstone. Licence: see LICENSE.

#pragma once

#include <math.h>
#include <string.h>

#include "CKernels.h"
#include "limits.h"

const ink_kernels *ink_variant_portable(void);
const ink_kernels *ink_variant_avx2(void);
const ink_kernels *ink_variant_avxvnni(void);
const ink_kernels *ink_variant_avx512(void);
const ink_kernels *ink_variant_avx512vnni(void);
const ink_kernels *ink_variant_avx512bf16(void);
const ink_kernels *ink_variant_neon(void);
const ink_kernels *ink_variant_neondot(void);
const ink_kernels *ink_variant_neoni8mm(void);
const ink_kernels *ink_variant_neonbf16(void);
