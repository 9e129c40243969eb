// Part of Inkstone. Licence: see LICENSE.

/// A priority queue with a starvation limit: the highest priority first, and among equals the oldest.
///
/// When the oldest element was passed over `starvationLimit` times, it is dequeued next.
package struct PriorityQueue<Element: Sendable>: Sendable {
    private struct Entry {
        let number: Int
        let priority: Priority
        let element: Element
    }

    /// In the order of dequeueing, but for elements that have been passed over.
    private var entries: [Entry] = []
    private var nextNumber = 0
    private var passedOver = 0
    private let starvationLimit: Int

    /// An empty queue.
    package init(starvationLimit: Int = 4) { self.starvationLimit = starvationLimit }

    /// Number of elements.
    package var count: Int { entries.count }

    /// Whether the queue has no elements.
    package var isEmpty: Bool { entries.isEmpty }

    /// All elements, the next one first.
    package var elements: [Element] { entries.map(\.element) }

    /// Adds an element.
    ///
    /// Returns the number of elements ahead of it.
    @discardableResult
    package mutating func append(_ element: Element, _ priority: Priority) -> Int {
        let index = entries.firstIndex { $0.priority < priority } ?? entries.count
        entries.insert(Entry(number: nextNumber, priority: priority, element: element), at: index)
        nextNumber += 1
        return index
    }

    /// Removes and returns the next element.
    package mutating func popFirst() -> Element? {
        let oldest = entries.indices.min { entries[$0].number < entries[$1].number }
        guard let oldest else { return nil }
        guard oldest > 0 else {
            passedOver = 0
            return entries.removeFirst().element
        }
        passedOver += 1
        guard passedOver > starvationLimit else { return entries.removeFirst().element }
        passedOver = 0
        return entries.remove(at: oldest).element
    }

    /// Removes all elements that satisfy the predicate.
    ///
    /// Returns whether there were any.
    @discardableResult
    package mutating func removeAll(where isRemoved: (Element) -> Bool) -> Bool {
        let before = entries.count
        entries.removeAll { isRemoved($0.element) }
        return entries.count < before
    }
}
