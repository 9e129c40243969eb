// Part of Inkstone. Licence: see LICENSE.

/// A number with its 95 % interval and the size of its sample.
///
/// A value that cannot be estimated is absent and has a reason; no member is ever NaN or infinite.
public struct Estimate: Sendable, Equatable, Codable {
    /// The number; absent when the sample is too small.
    public var value: Double?
    /// Lower bound of the 95 % interval.
    public var low: Double?
    /// Upper bound of the 95 % interval.
    public var high: Double?
    /// Number of samples.
    public var n: Int
    /// Number of independent samples with the same information.
    public var effectiveN: Double?
    /// Why the value or the interval is missing.
    public var reason: String?

    /// Retains only finite numbers: an overflow becomes an absent value with a reason.
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

    /// Whether the interval contains a number; `nil` without an interval.
    public func covers(_ number: Double) -> Bool? {
        guard let low, let high else { return nil }
        return low <= number && number <= high
    }

    /// The estimate in another unit.
    public func scaled(by factor: Double) -> Estimate {
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
