// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Proportions of a count, such as an error rate.
package enum Proportion {
    /// Estimates `count` of `trials` with Wilson's interval; for a count of 0 the rule of three gives
    /// the upper bound.
    package static func estimate(_ count: Int, of trials: Int) -> Estimate {
        precondition(count >= 0 && count <= trials, "a count must not exceed its trials")
        guard trials > 0 else { return .missing("no requests") }
        if count == 0 { return Estimate(0, low: 0, high: min(1, 3 / Double(trials)), n: trials) }
        let n = Double(trials)
        let share = Double(count) / n
        let z = SpecialFunctions.normal95
        let center = (share + z * z / (2 * n)) / (1 + z * z / n)
        let half =
            z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
        return Estimate(share, low: max(0, center - half), high: min(1, center + half), n: trials)
    }

    /// Formats as `0 (<0.7 %)` or `1.3 % (0.4-3.1)`.
    package static func text(_ estimate: Estimate) -> String {
        guard let value = estimate.value, let low = estimate.low, let high = estimate.high else {
            return "-"
        }
        let percent = { (number: Double) in Figures.decimals(100 * number, 1) }
        if value == 0 { return "0 (<\(Figures.significant(100 * high, 2)) %)" }
        return "\(percent(value)) % (\(percent(low))-\(percent(high)))"
    }
}
