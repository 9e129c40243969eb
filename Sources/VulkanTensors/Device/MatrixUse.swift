// Part of Inkstone. Licence: see LICENSE.

/// Use of a device's instructions that multiply matrices.
package enum MatrixUse: Sendable, Equatable {
    /// Where they are faster: not on software devices.
    case automatic
    /// No kernels with these instructions.
    case never
    /// Fragments of one shape for int8 and of one for f16, for tests.
    case fragments(int8: MatrixShape, f16: MatrixShape)
}
