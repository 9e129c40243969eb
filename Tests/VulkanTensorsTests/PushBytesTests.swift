// Part of Inkstone. Licence: see LICENSE.

import Testing
import VulkanTensors

/// Layout of push constants.
@Suite("Push constants are in scalar layout")
struct PushBytesTests {
    @Test("addresses have 8 bytes and are aligned, numbers have 4")
    func layout() {
        var push = PushBytes()
        push.add(nil)
        push.add(7)
        push.add(nil)
        push.add(Float(1))
        push.add(-1)
        #expect(
            push.bytes == [0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0] + [UInt8](repeating: 0, count: 12)
                + [0, 0, 0x80, 0x3F, 0xFF, 0xFF, 0xFF, 0xFF])
    }
}
