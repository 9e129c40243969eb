// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Parameters

/// An estimate of when a place in the queue becomes free: the base of `Retry-After`.
///
/// Work is counted in pixels times evaluations. The time of a unit is learned from finished images of the
/// model; before the first one, it is the expected one.
package struct QueueEstimate: Sendable {
    /// A request in work.
    private struct Work {
        let model: String
        /// Units that are left.
        var units: Double
    }

    /// Seconds a unit takes, of late, by model.
    private var secondsPerUnit: [String: Double] = [:]
    private var work: [Int: Work] = [:]

    package init() {}

    /// Units of one evaluation of an image, on average over its passes; guidance evaluates twice.
    package static func unitsPerStep(_ request: ImageRequest) -> Double {
        request.parameters.work(strength: request.strength) / Double(request.evaluations)
            * (request.guidanceScale > 0 ? 2 : 1)
    }

    /// A request has started.
    package mutating func begin(_ id: Int, units: Double, of model: String) {
        work[id] = Work(model: model, units: units)
    }

    /// A part of the request is done.
    package mutating func progress(_ id: Int, units: Double) {
        if let rest = work[id]?.units { work[id]?.units = max(0, rest - units) }
    }

    /// The request has ended.
    package mutating func end(_ id: Int) { work[id] = nil }

    /// An image of so many units took so long, all stages.
    package mutating func learn(units: Double, seconds: Double, of model: String) {
        guard units > 0, seconds > 0 else { return }
        let value = seconds / units
        secondsPerUnit[model] = secondsPerUnit[model].map { $0 + 0.3 * (value - $0) } ?? value
    }

    /// Seconds until the first request in work is done; they share the device.
    ///
    /// `expected` has the seconds of a unit of models without a finished image.
    package func seconds(expected: [String: Double] = [:]) -> Double {
        let rests = work.values.compactMap { work in
            (secondsPerUnit[work.model] ?? expected[work.model]).map { work.units * $0 }
        }
        guard let least = rests.min() else { return RetryAfter.unknownQueue }
        return least * Double(work.count)
    }
}
