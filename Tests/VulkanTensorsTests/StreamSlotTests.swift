// Part of Inkstone. Licence: see LICENSE.

import Testing
import VulkanTensors

/// Which memory copies of weights are written to, and what they wait for.
@Suite("Slots for streamed weights")
struct StreamSlotTests {
    /// What kernels of a submission read.
    private struct Place {
        let slot: Int
        let bytes: Range<Int>
        let submission: UInt64
    }

    @Test("a copy waits for all kernels that read what it replaces, and for no later ones")
    func waits() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let capacity = Int.random(in: 300...3000, using: &generator)
            var slots = StreamSlots(capacity: capacity, after: 5)
            var (submission, places) = (UInt64(6), [Place]())
            for _ in 0..<100 {
                // A pause submits at any moment.
                if Int.random(in: 0..<4, using: &generator) == 0 { submission += 1 }
                let bytes = Int.random(in: 1...capacity, using: &generator)
                var offset = slots.reserve(bytes)
                if offset == nil {
                    submission += 1
                    slots.advance(queued: submission - 1)
                    offset = slots.reserve(bytes)
                }
                guard let offset else { return #expect(Bool(false), "no place in an empty slot") }
                #expect(offset % StreamSlots.alignment == 0 && offset + bytes <= capacity)
                let range = offset..<(offset + bytes)
                let replaced = places.filter {
                    $0.slot == slots.current && $0.bytes.overlaps(range)
                }
                #expect(replaced.allSatisfy { $0.submission <= slots.writableAfter })
                // What it waits for is queued, or it would wait for ever.
                #expect(slots.writableAfter >= 5 && slots.writableAfter < submission)
                places.removeAll { $0.slot == slots.current && $0.bytes.overlaps(range) }
                places.append(Place(slot: slots.current, bytes: range, submission: submission))
            }
        }
    }

    @Test("the slot that is filled is not the one that the latest queued kernels read")
    func alternate() {
        var slots = StreamSlots(capacity: 1024, after: 0)
        var used: [Int] = []
        for submission in UInt64(1)...6 {
            #expect(slots.reserve(1024) == 0)
            used.append(slots.current)
            slots.advance(queued: submission)
            #expect(slots.writableAfter == submission - 1)
        }
        #expect(used == [0, 1, 0, 1, 0, 1])
    }

    @Test(
        "the queue for transfers is one that does nothing else",
        arguments: [
            // NVIDIA: graphics, transfers, compute, decoding of video, encoding, optical flow.
            ([0xF, 0xC, 0xE, 0x2C, 0x4C, 0x10C], 1),
            // AMD: graphics, compute, decoding of video, transfers.
            ([0xF, 0xE, 0x24, 0xC], 3),
            // Intel with its copy engine, then one without.
            ([0x7, 0x4], 1), ([0x7], nil), ([0xF, 0x2C], nil), ([], nil),
        ] as [([UInt32], Int?)])
    func family(_ capabilities: [UInt32], _ index: Int?) {
        #expect(TransferFamily.index(among: capabilities) == index)
    }
}
