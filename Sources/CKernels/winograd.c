// Part of Inkstone. Licence: see LICENSE.
//
// The parts of template/winograd.h that do not depend on the variant.

#include "limits.h"

// Small images are divided into smaller tasks, so that all threads have work.
ink_winograd_tasks ink_winograd_split(size_t height, size_t width, int upsample) {
    ink_winograd_tasks t;
    t.rows = upsample ? height : (height + 1) / 2;
    t.columns = upsample ? width : (width + 1) / 2;
    size_t tiles = t.rows * t.columns;
    t.high = tiles >= 768 ? WINOGRAD_TILES_HIGH : 3;
    t.wide = tiles >= 192 ? WINOGRAD_TILES_WIDE : 4;
    t.across = (t.columns + t.wide - 1) / t.wide;
    t.count = (t.rows + t.high - 1) / t.high * t.across;
    return t;
}

void ink_winograd_weights(const float *kernels, size_t count, float *out) {
    for (size_t i = 0; i < count; i++, kernels += 9, out += 16) {
        float lines[4][3];
        for (int x = 0; x < 3; x++) {
            float a = kernels[x], b = kernels[3 + x], c = kernels[6 + x];
            lines[0][x] = a;
            lines[1][x] = (a + b + c) / 2;
            lines[2][x] = (a - b + c) / 2;
            lines[3][x] = c;
        }
        for (int y = 0; y < 4; y++) {
            float a = lines[y][0], b = lines[y][1], c = lines[y][2];
            out[4 * y] = a;
            out[4 * y + 1] = (a + b + c) / 2;
            out[4 * y + 2] = (a - b + c) / 2;
            out[4 * y + 3] = c;
        }
    }
}
