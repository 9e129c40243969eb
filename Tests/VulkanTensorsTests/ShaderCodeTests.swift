// Part of Inkstone. Licence: see LICENSE.

import Testing
import VulkanTensors

/// Changes of SPIR-V at load.
@Suite("Loop hints of shaders for software devices")
struct ShaderCodeTests {
    private let header: [UInt32] = [0x0723_0203, 0x0001_0600, 0, 10, 0]

    @Test("hints to unroll become hints not to, and nothing else changes")
    func hints() {
        // OpLoopMerge %1 %2 with the hints none, Unroll, DontUnroll, and Unroll | PartialCount 4.
        func merge(_ mask: UInt32, _ more: UInt32...) -> [UInt32] {
            [UInt32(4 + more.count) << 16 | 246, 1, 2, mask] + more
        }
        // OpConstant whose value looks like a hint.
        let constant: [UInt32] = [4 << 16 | 43, 3, 4, 1]
        // OpCapability: the one of matrix instructions, then another.
        let matrices: [UInt32] = [2 << 16 | 17, 6022, 2 << 16 | 17, 1]
        let words = header + matrices + merge(0) + constant + merge(1) + merge(2) + merge(257, 4)
        let expected =
            header + matrices + merge(0) + constant + merge(2) + merge(2) + merge(258, 4)
        var code = ShaderCode(words: words)
        code?.keepMatrixLoops()
        #expect(code?.words == expected)

        let plain = header + [2 << 16 | 17, 1] + merge(1)
        code = ShaderCode(words: plain)
        code?.keepMatrixLoops()
        #expect(code?.words == plain)
    }

    @Test("a module that ends within an instruction is left as it is")
    func truncated() {
        let words = header + [4 << 16 | 246, 1, 2]
        var code = ShaderCode(words: words)
        code?.keepMatrixLoops()
        #expect(code?.words == words)
        let zero = header + [0, 0, 0]
        code = ShaderCode(words: zero)
        code?.keepMatrixLoops()
        #expect(code?.words == zero)
    }

    @Test("other words are not SPIR-V")
    func magic() {
        #expect(ShaderCode(words: [1, 2, 3, 4, 5, 6]) == nil)
        #expect(ShaderCode(words: Array(header.prefix(3))) == nil)
        #expect(ShaderCode(named: "no such shader") == nil)
    }
}
