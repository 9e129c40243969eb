// Part of Inkstone. Licence: see LICENSE.

import CShaders

/// A shader in SPIR-V.
package struct ShaderCode: Sendable {
    /// Words of the module, beginning with its header of five.
    package private(set) var words: [UInt32]

    /// Number of words before the first instruction.
    private static let header = 5
    private static let magic: UInt32 = 0x0723_0203
    /// Opcode of an instruction that declares a capability.
    private static let capability: UInt32 = 17
    /// The capability of matrix instructions, `CooperativeMatrixKHR`.
    private static let matrices: UInt32 = 6022
    /// Opcode of an instruction that describes a loop: merge block, continue target, hints.
    private static let loopMerge: UInt32 = 246
    private static let unroll: UInt32 = 1
    private static let dontUnroll: UInt32 = 2

    /// Uses words; returns `nil` if they are not SPIR-V of the host's byte order.
    package init?(words: [UInt32]) {
        guard words.count > Self.header, words[0] == Self.magic else { return nil }
        self.words = words
    }

    /// Returns the embedded shader of a name.
    package init?(named name: String) {
        var bytes = 0
        guard let start = ink_shader_named(name, &bytes) else { return nil }
        let source = UnsafeRawBufferPointer(start: UnsafeRawPointer(start), count: bytes / 4 * 4)
        var words = [UInt32](repeating: 0, count: bytes / 4)
        words.withUnsafeMutableBytes { $0.copyMemory(from: source) }
        self.init(words: words)
    }

    /// Names of the embedded shaders, in alphabetic order.
    package static var names: [String] {
        var names: [String] = []
        while let name = ink_shader_name(names.count) { names.append(String(cString: name)) }
        return names
    }

    /// Replaces the hint to unroll loops by the hint not to, in a shader with matrix instructions.
    ///
    /// LLVM needs minutes to compile an unrolled matrix product and gains no speed on a CPU. Other shaders compile
    /// quickly, and run ten times slower without the hints.
    package mutating func keepMatrixLoops() {
        var hasMatrices = false
        var index = Self.header
        while index < words.count {
            let length = Int(words[index] >> 16)
            guard length > 0, index + length <= words.count else { return }
            let code = words[index] & 0xFFFF
            if code == Self.capability, length > 1 {
                hasMatrices = hasMatrices || words[index + 1] == Self.matrices
            } else if code == Self.loopMerge, length > 3, hasMatrices,
                words[index + 3] & (Self.unroll | Self.dontUnroll) == Self.unroll
            {
                words[index + 3] ^= Self.unroll | Self.dontUnroll
            }
            index += length
        }
    }
}
