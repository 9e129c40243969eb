// Part of Inkstone. Licence: see LICENSE.
//
// Writes rows of an f32 operand. The including shader defines THREADS, and `float valueAt(uint
// column)` of its current row.

layout(buffer_reference, scalar) writeonly buffer Rows { float at[]; };

/// Writes `columns` values and zeros up to `stride`, if `isInside`. Must be called by all threads.
void writeRow(Rows rows, uvec2 scales, uint row, uint columns, uint stride, bool isInside) {
    if (!isInside) return;
    for (uint i = gl_LocalInvocationIndex; i < stride; i += THREADS)
        rows.at[row * stride + i] = i < columns ? valueAt(i) : 0.0;
}
