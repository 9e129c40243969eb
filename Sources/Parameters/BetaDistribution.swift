// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The beta distribution of two parameters.
///
/// - Source: the continued fraction of the regularised incomplete beta function, Press and others, "Numerical
///   Recipes", third edition, section 6.4.
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
    func cumulative(_ x: Double) -> Double {
        guard x > 0 else { return 0 }
        guard x < 1 else { return 1 }
        let front = exp(
            lgamma(alpha + beta) - lgamma(alpha) - lgamma(beta) + alpha * log(x)
                + beta * log1p(-x))
        return x < (alpha + 1) / (alpha + beta + 2)
            ? front * Self.fraction(x, alpha, beta) / alpha
            : 1 - front * Self.fraction(1 - x, beta, alpha) / beta
    }

    /// Lentz's evaluation of the continued fraction.
    private static func fraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
        let tiny = 1e-300
        func nonzero(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
        var c = 1.0
        var d = 1 / nonzero(1 - (a + b) * x / (a + 1))
        var result = d
        for step in 1...300 {
            let m = Double(step)
            let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            d = 1 / nonzero(1 + even * d)
            c = nonzero(1 + even / c)
            result *= d * c
            let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            d = 1 / nonzero(1 + odd * d)
            c = nonzero(1 + odd / c)
            result *= d * c
            if abs(d * c - 1) < 1e-16 { break }
        }
        return result
    }
}
