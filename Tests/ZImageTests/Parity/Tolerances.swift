// Part of Inkstone. Licence: see LICENSE.

/// Limits of the parity tests, all as shares of the reference's largest magnitude, with what was
/// measured (AVX-512 kernels) beside them. Loosening one needs a line in the changelog.
enum Tolerance {
    /// Features, latents, images in f32. Measured: see `Docs/parity.md`.
    static let f32: Float = 2e-4
    /// One stage in bf16 or int8 from the same input, as `stageError` takes it. Measured: 1.1e-2 in
    /// bf16 (worst element), 1.7e-2 in int8 (length).
    static let stage: Float = 2e-2
    /// Normal numbers against torch, absolute.
    static let noise: Float = 5e-7
}
