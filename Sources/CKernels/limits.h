// Part of Inkstone. Licence: see LICENSE.
//
// Sizes on which several files must agree: one allocates or plans by them, another indexes by them.

#pragma once

#include "CKernels.h"

enum {
    /// Pixels of an image whose sums one task of a group norm computes.
    GROUP_NORM_PIXELS = 256,
    /// Largest task of a Winograd convolution, in output tiles.
    WINOGRAD_TILES_HIGH = 6,
    WINOGRAD_TILES_WIDE = 8,
    /// 32-bit words at the end of each column of an int8 panel: initial sum, scale.
    INT8_PANEL_TAIL = 2,
    /// Largest group of an int8 row that is rotated together.
    ROTATION_GROUP = 256,
    /// Stack of a pool's thread. Products that widen their factors use the most, 202 KiB at 16
    /// lanes, then kernels that produce int8 rows, 129 KiB for one row of INK_INT8_MAX_DEPTH f32
    /// values. Some C libraries give a thread 128 KiB.
    THREAD_STACK_BYTES = 1 << 20,
};

_Static_assert(4 * INK_INT8_MAX_DEPTH <= THREAD_STACK_BYTES / 4, "an int8 row fits on the stack");
_Static_assert(INK_OPERAND_ALIGN % 4 == 0, "padded int8 rows are whole 32-bit words");

/// A depth with its padding.
static inline size_t ink_padded(size_t depth) {
    return (depth + INK_OPERAND_ALIGN - 1) / INK_OPERAND_ALIGN * INK_OPERAND_ALIGN;
}
