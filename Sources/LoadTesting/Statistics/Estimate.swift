// Part of Inkstone. Licence: see LICENSE.

/// A number with what is needed to trust it: its 95 % interval and the size of its sample.
///
/// What cannot be told is absent and has a reason; nothing here is ever NaN or infinite.
package struct Estimate: Sendable, Equatable, Codable {
    /// The number, absent where the sample is too small for it.
    package var value: Double?
    /// Lower end of the 95 % interval.
    package var low: Double?
    /// Upper end of the 95 % interval.
    package var high: Double?
    /// Samples behind it.
    package var n: Int
    /// What these are worth as independent samples.
    package var effectiveN: Double?
    /// Why value or interval is missing.
    package var reason: String?

    /// Keeps only finite numbers: an overflow on the way becomes an absent value with a reason.
    package init(
        _ value: Double?, low: Double? = nil, high: Double? = nil, n: Int,
        effectiveN: Double? = nil, reason: String? = nil
    ) {
        let finite = { (number: Double?) in number.flatMap { $0.isFinite ? $0 : nil } }
        self.value = finite(value)
        self.low = finite(low)
        self.high = finite(high)
        self.n = n
        self.effectiveN = finite(effectiveN)
        self.reason =
            value != nil && self.value == nil ? (reason ?? "not a finite number") : reason
    }

    /// A number that could not be estimated.
    package static func missing(_ reason: String, n: Int = 0) -> Estimate {
        Estimate(nil, n: n, reason: reason)
    }

    /// Whether the interval holds a number; `nil` without an interval.
    package func covers(_ number: Double) -> Bool? {
        guard let low, let high else { return nil }
        return low <= number && number <= high
    }

    /// The same in another unit.
    package func scaled(by factor: Double) -> Estimate {
        precondition(factor > 0, "an interval keeps its order only under positive factors")
        return Estimate(
            value.map { $0 * factor }, low: low.map { $0 * factor }, high: high.map { $0 * factor },
            n: n, effectiveN: effectiveN, reason: reason)
    }

    private enum CodingKeys: String, CodingKey {
        case value, low, high, n, reason
        case effectiveN = "nEff"
    }
}
