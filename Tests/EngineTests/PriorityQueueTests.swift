// Part of Inkstone. Licence: see LICENSE.

import Engine
import Testing

/// The order of a queue with priorities.
struct PriorityQueueTests {
    @Test func theHighestPriorityGoesFirstAndAmongEqualsTheOldest() {
        var queue = PriorityQueue<String>()
        let before = [
            queue.append("n1", .normal), queue.append("l1", .low), queue.append("h1", .high),
            queue.append("n2", .normal), queue.append("h2", .high),
        ]
        #expect(before == [0, 1, 0, 2, 1])
        #expect(queue.elements == ["h1", "h2", "n1", "n2", "l1"])
        queue.removeAll { $0 == "h2" }
        #expect(queue.count == 4)
        var gone: [String] = []
        while let next = queue.popFirst() { gone.append(next) }
        #expect(gone == ["h1", "n1", "n2", "l1"])
        #expect(queue.isEmpty)
    }

    @Test func theOldestIsNotPassedOverForEver() {
        var queue = PriorityQueue<Int>(starvationLimit: 3)
        queue.append(-1, .low)
        for number in 0..<10 { queue.append(number, .high) }
        let gone = (0..<11).compactMap { _ in queue.popFirst() }
        #expect(gone == [0, 1, 2, -1, 3, 4, 5, 6, 7, 8, 9])
    }

    @Test func priorities() {
        #expect(Priority.low < .normal && Priority.normal < .high)
        #expect(Priority(rawValue: "urgent") == nil)
    }
}
