// Part of Inkstone. Licence: see LICENSE.

/// Tensors of a run for a parity check, under the names of the reference.
package struct Trace: Sendable {
    /// One tensor.
    package enum Tensor: Sendable {
        case f32([Float], shape: [Int])
        case i32([Int32], shape: [Int])
        case u8([UInt8], shape: [Int])
    }

    /// Tensors by name.
    package private(set) var tensors: [String: Tensor] = [:]
    private var latents: [Float] = []
    private var shape: [Int] = []

    package init() {}

    mutating func record(_ name: String, _ tensor: Tensor) { tensors[name] = tensor }

    /// Appends the latents after a step to the tensor `latents`, those of a second pass to `hires.latents`.
    mutating func recordLatents(_ planes: Planes, isSecondPass: Bool) {
        let shape = [planes.channels, planes.height, planes.width]
        if shape != self.shape { (self.shape, latents) = (shape, []) }
        latents += planes.numbers
        tensors[isSecondPass ? "hires.latents" : "latents"] = .f32(
            latents, shape: [latents.count / planes.numbers.count] + shape)
    }
}
