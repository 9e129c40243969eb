// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// An axis with its title, range and ticks.
package struct PlotAxis: Sendable {
    package enum Scale: Sendable { case linear, logarithmic }

    package var title: String
    package var scale = Scale.linear
    package var low: Double
    package var high: Double
    package var ticks: [(value: Double, text: String)]

    /// Creates an axis that contains values, with round ticks; a linear axis starts at 0 if no value
    /// is negative.
    package init(
        _ title: String, around values: [Double], scale: Scale = .linear, startsAtZero: Bool = true,
        endsAtData: Bool = false
    ) {
        self.title = title
        self.scale = scale
        let finite = values.filter(\.isFinite)
        var low = finite.min() ?? 0
        var high = finite.max() ?? 1
        switch scale {
        case .linear:
            if startsAtZero, low > 0 { low = 0 }
            if high <= low { high = low + (low == 0 ? 1 : abs(low)) }
            let step = Self.roundStep((high - low) / 5)
            low = (low / step).rounded(.down) * step
            // A time axis ends with the data; others end at a round value.
            if !endsAtData { high = (high / step - 1e-9).rounded(.up) * step }
            let count = Int(((high - low) / step + 1e-9).rounded(.down))
            ticks = (0...max(count, 1)).map { index in
                let value = low + Double(index) * step
                return (value, Self.label(value, step: step))
            }
        case .logarithmic:
            low = max(low, 1e-9)
            high = max(high, low * 1.5)
            ticks = Self.decades(low, high)
        }
        self.low = low
        self.high = high
    }

    /// Creates an axis with given ticks.
    package init(
        _ title: String, low: Double, high: Double, ticks: [(value: Double, text: String)],
        scale: Scale = .linear
    ) {
        self.title = title
        self.low = low
        self.high = high
        self.ticks = ticks
        self.scale = scale
    }

    /// The position of a value, clamped to 0...1.
    func place(_ value: Double) -> Double {
        let share: Double
        switch scale {
        case .linear: share = (value - low) / (high - low)
        case .logarithmic:
            share = log(max(value, 1e-12) / low) / log(high / low)
        }
        return share.isFinite ? min(max(share, 0), 1) : 0
    }

    /// The smallest 1, 2 or 5 times a power of ten that is at least `step`.
    private static func roundStep(_ step: Double) -> Double {
        let power = pow(10, log10(step).rounded(.down))
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= step * 0.999 } ?? 10 * power
    }

    private static func label(_ value: Double, step: Double) -> String {
        let decimals = max(0, Int((-log10(step)).rounded(.up)))
        return Figures.decimals(value, min(decimals, 6))
    }

    /// Ticks at 1, 2 and 5 of each decade within the axis.
    private static func decades(_ low: Double, _ high: Double) -> [(value: Double, text: String)] {
        let first = Int(log10(low).rounded(.down))
        let last = Int(log10(high).rounded(.up))
        var values: [Double] = []
        for decade in first...last {
            for digit in [1.0, 2, 5] { values.append(digit * pow(10, Double(decade))) }
        }
        return values.filter { $0 >= low * 0.999 && $0 <= high * 1.001 }
            .map { ($0, Figures.significant($0, 1)) }
    }
}
