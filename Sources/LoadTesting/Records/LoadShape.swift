// Part of Inkstone. Licence: see LICENSE.

/// A rate of arrivals that changes during a level.
public enum LoadShape: Sendable, Equatable {
    /// The rate changes evenly from one value to another.
    case ramp(from: Double, to: Double, seconds: Double)
    /// The rate has each value for a time.
    case steps(rates: [Double], seconds: Double)
    /// The rate jumps to a peak and back.
    case spike(base: Double, peak: Double, seconds: Double, before: Double, after: Double)

    /// The rate over time: linear between points, with jumps where two points have the same time.
    public var points: [RatePoint] {
        switch self {
        case .ramp(let from, let to, let seconds):
            return [RatePoint(seconds: 0, rate: from), RatePoint(seconds: seconds, rate: to)]
        case .steps(let rates, let seconds):
            return rates.enumerated().flatMap { index, rate in
                [
                    RatePoint(seconds: Double(index) * seconds, rate: rate),
                    RatePoint(seconds: Double(index + 1) * seconds, rate: rate),
                ]
            }
        case .spike(let base, let peak, let seconds, let before, let after):
            return [
                (0, base), (before, base), (before, peak), (before + seconds, peak),
                (before + seconds, base), (before + seconds + after, base),
            ].map { RatePoint(seconds: $0.0, rate: $0.1) }
        }
    }
}

/// A rate at a time of a level.
public struct RatePoint: Codable, Sendable, Equatable {
    /// Seconds after the start of the hold.
    public var seconds: Double
    /// Requests a second.
    public var rate: Double

    /// Creates a point.
    public init(seconds: Double, rate: Double) {
        self.seconds = seconds
        self.rate = rate
    }
}
