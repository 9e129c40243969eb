// Part of Inkstone. Licence: see LICENSE.

import Testing
import VulkanTensors

/// The parts of the recorder that need no device.
@Suite("Address sets and the staging ring")
struct RecordingValuesTests {
    private func range(_ start: UInt64, _ bytes: Int) -> DeviceRange {
        DeviceRange(address: start, bytes: bytes)
    }

    @Test("a set joins ranges that touch, and finds those that intersect")
    func addresses() {
        var set = AddressSet()
        for start in [UInt64(100), 300, 200] { set.insert(range(start, 50)) }
        #expect(set.ranges == [100..<150, 200..<250, 300..<350])
        #expect(!set.intersects(range(150, 50)) && !set.intersects(range(0, 100)))
        #expect(set.intersects(range(149, 1)) && set.intersects(range(0, 1000)))
        #expect(!set.intersects(range(120, 0)), "no bytes")
        set.insert(range(150, 50))
        #expect(set.ranges == [100..<250, 300..<350])
        set.insert(range(90, 500))
        #expect(set.ranges == [90..<590])
        set.insert(range(0, 10))
        set.insert(range(40, 0))
        #expect(set.ranges == [0..<10, 90..<590])
        set.removeAll()
        #expect(!set.intersects(range(0, 1000)))
    }

    @Test("a set has the addresses that were inserted, for random ranges")
    func randomAddresses() {
        var generator = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0...(.max), using: &generator)
        var state = seed
        func next(_ limit: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % limit
        }
        var set = AddressSet()
        var all = Set<UInt64>()
        for _ in 0..<200 {
            let new = range(next(1000), Int(next(20)))
            #expect(
                set.intersects(new)
                    == (0..<UInt64(new.bytes)).contains { all.contains(new.address + $0) },
                "seed \(seed)")
            set.insert(new)
            for offset in 0..<UInt64(new.bytes) { all.insert(new.address + offset) }
            #expect(Set(set.ranges.flatMap { Array($0) }) == all, "seed \(seed)")
        }
    }

    @Test("hazards are reads after writes and writes after either")
    func hazards() {
        var hazards = Hazards()
        let (a, b) = (range(0, 256), range(256, 256))
        hazards.insert(reads: [a], writes: [b])
        #expect(!hazards.conflicts(reads: [a], writes: []))
        #expect(hazards.conflicts(reads: [b], writes: []))
        #expect(hazards.conflicts(reads: [], writes: [a]))
        #expect(hazards.conflicts(reads: [], writes: [b]))
        #expect(!hazards.conflicts(reads: [a], writes: [range(512, 1)]))
        hazards.removeAll()
        #expect(!hazards.conflicts(reads: [b], writes: [a]))
    }

    @Test("a place in the ring is used again only when its submission is finished")
    func ring() {
        var ring = StagingRing(capacity: 1024)
        #expect(ring.oldest == nil)
        #expect(ring.reserve(300, for: 1) == 0)
        #expect(ring.reserve(300, for: 1) == 320, "aligned to 64")
        #expect(ring.bytes(of: 1) == 640)
        #expect(ring.reserve(300, for: 2) == 640)
        #expect(ring.bytes(of: 2) == 320 && ring.bytes(of: 1) == 0)
        #expect(ring.reserve(300, for: 2) == nil, "the beginning is in use")
        #expect(ring.oldest == 1)
        ring.release(completed: 0)
        #expect(ring.reserve(300, for: 2) == nil)
        ring.release(completed: 1)
        #expect(ring.oldest == 2)
        #expect(ring.reserve(300, for: 3) == 0, "wraps around")
        #expect(ring.reserve(300, for: 3) == 320)
        #expect(ring.reserve(64, for: 3) == nil)
        ring.release(completed: 3)
        #expect(ring.oldest == nil && ring.reserve(512, for: 4) != nil)
    }
}
