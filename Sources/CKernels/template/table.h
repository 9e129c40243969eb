// Part of Inkstone. Licence: see LICENSE.
//
// Table of one variant's kernels. The including file defines INK_LANES, INK_VARIANT, INK_NAME,
// INK_NATIVE_BF16 and, where the instructions exist, INK_DOT_BF16 or INK_PAIR_BF16, and
// INK_DOT_INT8, INK_PAIR_INT8 or INK_MADD_16.

#include "vector.h"
#include "int8.h"
#include "product.h"
#include "convolution.h"
#include "attention.h"
#include "winograd.h"
#include "norm.h"
#include "peak.h"

static const ink_kernels variant_table = {
    .name = INK_NAME,
    .lanes = INK_LANES,
    .native_bf16 = INK_NATIVE_BF16,
    .pack = kernel_pack,
    .product = kernel_product,
    .convolve = kernel_convolve,
    .winograd = kernel_winograd,
    .attend = kernel_attend,
    .head_norm = kernel_head_norm,
    .norm = kernel_norm,
    .add_norm = kernel_add_norm,
    .group_norm = kernel_group_norm,
    .group_apply = kernel_group_apply,
    .convert = kernel_convert,
    .silu = kernel_silu,
    .spin = kernel_spin,
    .attention_scratch = kernel_attention_scratch,
    .winograd_scratch = kernel_winograd_scratch,
};

const ink_kernels *INK_VARIANT(void) { return &variant_table; }
