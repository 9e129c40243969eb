// Part of Inkstone. Licence: see LICENSE.

/// Those who wait: the highest priority first, and among equals who came first.
///
/// Nobody waits for ever: when the one who has waited longest was passed over `patience` times, it is
/// his turn.
package struct WaitingLine<Element: Sendable>: Sendable {
    private struct Place {
        let number: Int
        let priority: Priority
        let element: Element
    }

    /// In the order of their turns, but for those who were passed over.
    private var places: [Place] = []
    private var numbers = 0
    private var passedOver = 0
    private let patience: Int

    /// Nobody waits yet.
    package init(patience: Int = 4) { self.patience = patience }

    /// How many wait.
    package var count: Int { places.count }

    /// Whether nobody waits.
    package var isEmpty: Bool { places.isEmpty }

    /// Those who wait, the next one first.
    package var elements: [Element] { places.map(\.element) }

    /// Somebody comes; returns how many go before him.
    @discardableResult
    package mutating func append(_ element: Element, _ priority: Priority) -> Int {
        let index = places.firstIndex { $0.priority < priority } ?? places.count
        places.insert(Place(number: numbers, priority: priority, element: element), at: index)
        numbers += 1
        return index
    }

    /// The next one goes.
    package mutating func popFirst() -> Element? {
        let oldest = places.indices.min { places[$0].number < places[$1].number }
        guard let oldest else { return nil }
        guard oldest > 0 else {
            passedOver = 0
            return places.removeFirst().element
        }
        passedOver += 1
        guard passedOver > patience else { return places.removeFirst().element }
        passedOver = 0
        return places.remove(at: oldest).element
    }

    /// Those go who are like this; returns whether there were any.
    @discardableResult
    package mutating func removeAll(where isOne: (Element) -> Bool) -> Bool {
        let before = places.count
        places.removeAll { isOne($0.element) }
        return places.count < before
    }
}
