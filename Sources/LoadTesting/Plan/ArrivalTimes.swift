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
