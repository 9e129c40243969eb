// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// The distribution functions from which intervals are computed.
package enum SpecialFunctions {
    /// The probability of at most `count` successes in `trials`.
    package static func binomialCDF(_ count: Int, trials: Int, probability: Double) -> Double {
        if count < 0 { return 0 }
        if count >= trials { return 1 }
        return IncompleteBeta.regularized(
            1 - probability, Double(trials - count), Double(count + 1))
    }

    /// The probability of at least `count` marked items among `drawn` of `total` items of which `marked` are marked.
    ///
    /// - Source: Fisher, "On the interpretation of chi-squared from contingency tables", JRSS 85(1), 1922;
    ///   the upper tail of the hypergeometric distribution.
    package static func hypergeometricTail(
        _ count: Int, drawn: Int, marked: Int, total: Int
    ) -> Double {
        precondition(drawn <= total && marked <= total && drawn >= 0 && marked >= 0)
        func choose(_ n: Int, _ k: Int) -> Double {
            let below = lgamma(Double(k + 1)) + lgamma(Double(n - k + 1))
            return lgamma(Double(n + 1)) - below
        }
        let all = choose(total, drawn)
        let low = max(count, max(0, drawn + marked - total))
        let high = min(drawn, marked)
        guard low <= high else { return 0 }
        let sum = (low...high).reduce(0.0) { sum, found in
            let ways = choose(marked, found) + choose(total - marked, drawn - found)
            return sum + exp(ways - all)
        }
        return min(1, sum)
    }

    /// The probability that Student's t with `freedom` degrees is below `t`.
    package static func studentCDF(_ t: Double, freedom: Double) -> Double {
        let tail = IncompleteBeta.regularized(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
        return t < 0 ? tail : 1 - tail
    }

    /// The quantile of Student's distribution for a probability of at least 0.5.
    package static func studentQuantile(_ probability: Double, freedom: Double) -> Double {
        precondition(probability >= 0.5 && probability < 1 && freedom > 0)
        var (low, high) = (0.0, 1.0)
        while studentCDF(high, freedom: freedom) < probability, high < 1e9 { high *= 2 }
        for _ in 0..<100 {
            let middle = (low + high) / 2
            if studentCDF(middle, freedom: freedom) < probability {
                low = middle
            } else {
                high = middle
            }
        }
        return (low + high) / 2
    }

    /// The standard normal value of a two-sided interval of 95 %.
    package static let normal95 = 1.959_963_984_540_054
}
