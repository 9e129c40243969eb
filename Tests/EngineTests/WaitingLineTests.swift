// Part of Inkstone. Licence: see LICENSE.

import Engine
import Testing

/// Who goes first.
struct WaitingLineTests {
    @Test func theHighestPriorityGoesFirstAndAmongEqualsWhoCameFirst() {
        var line = WaitingLine<String>()
        let before = [
            line.append("n1", .normal), line.append("l1", .low), line.append("h1", .high),
            line.append("n2", .normal), line.append("h2", .high),
        ]
        #expect(before == [0, 1, 0, 2, 1])
        #expect(line.elements == ["h1", "h2", "n1", "n2", "l1"])
        line.removeAll { $0 == "h2" }
        #expect(line.count == 4)
        var gone: [String] = []
        while let next = line.popFirst() { gone.append(next) }
        #expect(gone == ["h1", "n1", "n2", "l1"])
        #expect(line.isEmpty)
    }

    @Test func nobodyWaitsForEver() {
        var line = WaitingLine<Int>(patience: 3)
        line.append(-1, .low)
        for number in 0..<10 { line.append(number, .high) }
        let gone = (0..<11).compactMap { _ in line.popFirst() }
        #expect(gone == [0, 1, 2, -1, 3, 4, 5, 6, 7, 8, 9])
    }

    @Test func priorities() {
        #expect(Priority.low < .normal && Priority.normal < .high)
        #expect(Priority(rawValue: "urgent") == nil)
    }
}
