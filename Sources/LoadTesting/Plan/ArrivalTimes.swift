// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The arrival times of open loops.
package enum ArrivalTimes {
    /// Draws arrivals at a rate.
    ///
    /// The random gaps are rescaled so that the last arrival is exactly at `count / rate`; the sum
    /// of the random gaps would deviate by a percent or two.
    ///
    /// - Returns: nanoseconds after the start, ascending.
    package static func draw(
        _ arrivals: LoadModel.Arrivals, rate: Double, shape: Double, count: Int, seed: UInt64
    ) -> [Int64] {
        guard count > 0 else { return [] }
        var generator = SplitMix64(seed: seed)
        let gaps = (0..<count).map { _ -> Double in
            switch arrivals {
            case .constant: 1
            case .poisson: exponential(&generator)
            case .gamma: gamma(shape, &generator)
            }
        }
        let scale = Double(count) / rate / gaps.reduce(0, +)
        var time = 0.0
        return gaps.map {
            time += $0 * scale
            return Int64(time * 1e9)
        }
    }

    /// Draws arrivals whose rate changes: linearly between the points of `profile`, after `lead` seconds at
    /// its first rate.
    ///
    /// Arrivals at a rate of 1 are mapped through the inverse of the integral of the rate, which gives an
    /// inhomogeneous Poisson process for `poisson`.
    ///
    /// - Returns: nanoseconds after the start, ascending.
    package static func draw(
        _ arrivals: LoadModel.Arrivals, profile: [RatePoint], lead: Double, shape: Double,
        seed: UInt64
    ) -> [Int64] {
        guard let first = profile.first else { return [] }
        let points =
            [RatePoint(seconds: 0, rate: first.rate)]
            + profile.map { RatePoint(seconds: $0.seconds + lead, rate: $0.rate) }
        // The number of arrivals expected until each point.
        var sums = [0.0]
        for (from, to) in zip(points, points.dropFirst()) {
            sums.append(
                (sums.last ?? 0) + (to.seconds - from.seconds) * (from.rate + to.rate) / 2)
        }
        let count = Int((sums.last ?? 0).rounded(.down))
        guard count > 0 else { return [] }
        let unit = draw(arrivals, rate: 1, shape: shape, count: count, seed: seed)
        var place = 0
        return unit.map { nanoseconds in
            let wanted = Double(nanoseconds) / 1e9
            while place + 2 < sums.count, sums[place + 1] < wanted { place += 1 }
            let (from, to) = (points[place], points[place + 1])
            let length = to.seconds - from.seconds
            let left = wanted - sums[place]
            // The integral over a part of a line: rate t + slope t² / 2 = left.
            let slope = length > 0 ? (to.rate - from.rate) / length : 0
            let root = max(0, from.rate * from.rate + 2 * slope * left).squareRoot()
            let time = from.rate + root > 0 ? 2 * left / (from.rate + root) : 0
            return Int64((from.seconds + min(time, length)) * 1e9)
        }
    }

    private static func exponential(_ generator: inout SplitMix64) -> Double {
        -log(1 - Double.random(in: 0..<1, using: &generator))
    }

    private static func normal(_ generator: inout SplitMix64) -> Double {
        let radius = sqrt(2 * exponential(&generator))
        return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &generator))
    }

    /// - Source: Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS
    ///   26(3), 2000.
    private static func gamma(_ shape: Double, _ generator: inout SplitMix64) -> Double {
        guard shape >= 1 else {
            let boost = pow(1 - Double.random(in: 0..<1, using: &generator), 1 / shape)
            return gamma(shape + 1, &generator) * boost
        }
        let d = shape - 1 / 3
        let c = 1 / sqrt(9 * d)
        while true {
            let x = normal(&generator)
            let v = pow(1 + c * x, 3)
            guard v > 0 else { continue }
            let u = 1 - Double.random(in: 0..<1, using: &generator)
            if log(u) < x * x / 2 + d - d * v + d * log(v) { return d * v }
        }
    }
}
