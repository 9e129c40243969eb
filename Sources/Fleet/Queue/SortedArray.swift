// Part of Inkstone. Licence: see LICENSE.

/// Elements in ascending order; places are found by bisection.
package struct SortedArray<Element: Comparable & Sendable>: Sendable {
    /// The elements, the least first.
    package private(set) var elements: [Element] = []

    /// An array without elements.
    package init() {}

    /// Returns the number of elements that are less than the given one.
    package func position(of element: Element) -> Int {
        var range = 0..<elements.count
        while !range.isEmpty {
            let middle = (range.lowerBound + range.upperBound) / 2
            if elements[middle] < element {
                range = (middle + 1)..<range.upperBound
            } else {
                range = range.lowerBound..<middle
            }
        }
        return range.lowerBound
    }

    /// Adds an element.
    package mutating func insert(_ element: Element) {
        elements.insert(element, at: position(of: element))
    }

    /// Removes an element, if it is there.
    package mutating func remove(_ element: Element) {
        let position = position(of: element)
        if position < elements.count, elements[position] == element {
            elements.remove(at: position)
        }
    }
}
