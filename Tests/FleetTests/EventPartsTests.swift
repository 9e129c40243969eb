// Part of Inkstone. Licence: see LICENSE.

import Fleet
import Testing

/// Frames that are cut into messages and put together again.
struct EventPartsTests {
    private func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    }

    @Test(arguments: [0, 1, 9, 10, 11, 35]) func framesComeBackWhole(count: Int) {
        var joiner = EventParts.Joiner()
        let parts = EventParts.cut(bytes(count), attempt: 3, number: 70_000, limit: 10)
        #expect(parts.count == max(1, (count + 9) / 10))
        for part in parts.dropLast() { #expect(joiner.append(part) == nil) }
        let whole = joiner.append(parts[parts.count - 1])
        #expect(whole?.frame == bytes(count) && whole?.attempt == 3)
    }

    @Test func aFrameThatLacksAPartIsLeftOut() {
        var joiner = EventParts.Joiner()
        let broken = EventParts.cut(bytes(30), attempt: 1, number: 1, limit: 10)
        let next = EventParts.cut(bytes(5), attempt: 1, number: 2, limit: 10)
        #expect(joiner.append(broken[0]) == nil && joiner.append(broken[2]) == nil)
        #expect(joiner.append(next[0])?.frame == bytes(5))
        #expect(joiner.append([1, 2, 3]) == nil)
    }
}
