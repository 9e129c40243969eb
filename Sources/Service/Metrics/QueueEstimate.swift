// Part of Inkstone. Licence: see LICENSE.

import Engine
import Parameters

/// An estimate of when a place in the queue becomes free: the base of `Retry-After`.
///
/// Work is counted in pixels times evaluations. The time of a unit is learned from finished images.
package struct QueueEstimate: Sendable {
    /// Seconds a unit takes, of late.
    private var secondsPerUnit: Double?
    /// Units left of the requests in work.
    private var left: [Int: Double] = [:]

    package init() {}

    /// Units of one step of an image; guidance evaluates twice.
    static func unitsPerStep(_ request: ImageRequest) -> Double {
        Double(request.size.width * request.size.height) * (request.guidanceScale > 0 ? 2 : 1)
    }

    /// A request has started.
    mutating func begin(_ id: Int, units: Double) { left[id] = units }

    /// A part of the request is done.
    mutating func progress(_ id: Int, units: Double) {
        if let rest = left[id] { left[id] = max(0, rest - units) }
    }

    /// The request has ended.
    mutating func end(_ id: Int) { left[id] = nil }

    /// An image of so many units took so long, all stages.
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
