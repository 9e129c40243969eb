// Part of Inkstone. Licence: see LICENSE.

/// A shader with the values of its specialization constants.
package struct Kernel: Hashable, Sendable {
    /// Most bytes of push constants, which every device accepts.
    package static let pushBytes = 128

    /// Name of the shader.
    package let shader: String
    /// Values of the constants 0, 1, 2, … .
    package let constants: [UInt32]
    /// The subgroup size that the shader requires, or `nil` for any.
    ///
    /// Software devices, which have one size only, ignore it.
    package let subgroupSize: Int?

    /// Creates a kernel.
    package init(_ shader: String, constants: [UInt32] = [], subgroupSize: Int? = nil) {
        self.shader = shader
        self.constants = constants
        self.subgroupSize = subgroupSize
    }
}
