// Part of Inkstone. Licence: see LICENSE.

import Basics

/// The beta distribution of two parameters.
struct BetaDistribution {
    let alpha: Double
    let beta: Double

    /// Returns the value below which the given share of the distribution is.
    func quantile(_ share: Double) -> Double {
        guard share > 0 else { return 0 }
        guard share < 1 else { return 1 }
        var (low, high) = (0.0, 1.0)
        // Every halving decides a bit; beyond the mantissa nothing changes.
        for _ in 0..<200 {
            let middle = 0.5 * (low + high)
            guard middle > low, middle < high else { break }
            let reached = cumulative(middle)
            // Quantiles are rounded afterwards; the exact ones, such as the middle of a symmetric distribution, must be.
            if abs(reached - share) <= 1e-15 { return middle }
            if reached < share { low = middle } else { high = middle }
        }
        return 0.5 * (low + high)
    }

    /// Returns the share of the distribution below `x`.
    func cumulative(_ x: Double) -> Double { IncompleteBeta.regularized(x, alpha, beta) }
}
