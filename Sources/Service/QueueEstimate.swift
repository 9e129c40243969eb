// Part of Inkstone. Licence: see LICENSE.

import Engine
import Parameters

/// An estimate of when a place in the queue becomes free: the base of `Retry-After`.
///
/// Work is counted in pixels times evaluations. What a unit takes is learned from finished
/// pictures.
package struct QueueEstimate: Sendable {
    /// Seconds a unit takes, of late.
    private var secondsPerUnit: Double?
    /// Units left of the requests in work.
    private var left: [Int: Double] = [:]

    package init() {}

    /// Units of one step of a picture; guidance evaluates twice.
    static func unitsPerStep(_ request: ImageRequest) -> Double {
        Double(request.size.width * request.size.height) * (request.guidanceScale > 0 ? 2 : 1)
    }

    /// Work on a request begins.
    mutating func begin(_ id: Int, units: Double) { left[id] = units }

    /// Some of it is done.
    mutating func progress(_ id: Int, units: Double) {
        if let rest = left[id] { left[id] = max(0, rest - units) }
    }

    /// Nothing of it is left, or nobody waits for it.
    mutating func end(_ id: Int) { left[id] = nil }

    /// A picture of so many units took so long, all stages.
    mutating func learn(units: Double, seconds: Double) {
        guard units > 0, seconds > 0 else { return }
        let value = seconds / units
        secondsPerUnit = secondsPerUnit.map { $0 + 0.3 * (value - $0) } ?? value
    }

    /// Seconds until the first request in work is done; they share the device.
    package var seconds: Double {
        guard let secondsPerUnit, let least = left.values.min() else {
            return RetryAfter.unknownQueue
        }
        return least * Double(left.count) * secondsPerUnit
    }
}
