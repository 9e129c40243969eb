// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A fit of the universal scalability law X(N) = a N / (1 + s (N - 1) + k N (N - 1)).
///
/// - Source: Gunther, "Guerrilla Capacity Planning", Springer 2007, chapter 4.
public struct ScalabilityFit: Sendable, Equatable, Codable {
    /// Images a second of one user.
    public var rate: Double
    /// Share of the work that is serial.
    public var contention: Double
    /// Cost of each pair of users (coherency).
    public var crosstalk: Double
    /// Standard errors of rate, contention and crosstalk; absent with three levels, which fit exactly.
    public var standardErrors: [Double]?
    /// Coefficient of determination.
    public var rSquared: Double
    /// Measured minus fitted throughput of each level.
    public var residuals: [Double]
    /// Why the fit must not be used; absent for a usable fit.
    public var refusal: String?

    /// Users at the maximum of the fitted throughput; absent when it increases without limit.
    public var peak: Double? {
        crosstalk > 0 && contention < 1 ? ((1 - contention) / crosstalk).squareRoot() : nil
    }

    /// The fitted throughput in images a second.
    public func throughput(_ users: Double) -> Double {
        rate * users / denominator(users)
    }

    private func denominator(_ users: Double) -> Double {
        1 + contention * (users - 1) + crosstalk * users * (users - 1)
    }

    /// Fits levels by Gauss-Newton, starting from the linear fit of N / X; `nil` for fewer than three.
    ///
    /// The weights are 1 / variance if all variances are known.
    public init?(_ points: [LoadPoint]) {
        let points = points.filter { $0.throughput > 0 }
        guard points.count >= 3 else { return nil }
        let n = points.map { Double($0.users) }
        let x = points.map(\.throughput)
        let variances = points.compactMap { $0.throughputVariance.flatMap { $0 > 0 ? $0 : nil } }
        let weights =
            variances.count == points.count
            ? variances.map { 1 / $0 } : [Double](repeating: 1, count: points.count)

        self.init(start: n, x)
        for _ in 0..<200 {
            guard let step = step(n, x, weights) else { break }
            // Halved until the fit does not get worse.
            var size = 1.0
            let before = squares(n, x, weights)
            var next = moved(step, size)
            while next.squares(n, x, weights) > before, size > 1e-6 {
                size /= 2
                next = moved(step, size)
            }
            let change = abs(next.squares(n, x, weights) - before)
            (rate, contention, crosstalk) = (next.rate, next.contention, next.crosstalk)
            if change <= 1e-14 * before { break }
        }
        finish(n, x, weights)
        if points.count < 6 {
            refusal = "\(points.count) levels, expected at least 6"
        } else if rSquared < 0.95 {
            refusal = "R² is \(Figures.decimals(rSquared, 3)), expected at least 0.95"
        } else if let peak, let last = n.max(), peak > 1.5 * last {
            refusal = "the peak at \(Figures.decimals(peak, 0)) users is outside the data"
        }
    }

    /// The linear fit: N / X = (1 + s (N - 1) + k N (N - 1)) / a.
    private init(start n: [Double], _ x: [Double]) {
        let line = LeastSquares.solve(
            rows: n.map { [1, $0 - 1, $0 * ($0 - 1)] }, targets: zip(n, x).map { $0 / $1 })
        let constant = line?.parameters[0] ?? 0
        rate = constant > 0 ? 1 / constant : x[0] / n[0]
        contention = max(0, (line?.parameters[1] ?? 0) * rate)
        crosstalk = max(0, (line?.parameters[2] ?? 0) * rate)
        rSquared = 0
        residuals = []
    }

    private func squares(_ n: [Double], _ x: [Double], _ weights: [Double]) -> Double {
        n.indices.reduce(0) {
            let difference = x[$1] - throughput(n[$1])
            return $0 + weights[$1] * difference * difference
        }
    }

    /// The derivatives by the three parameters.
    private func slopes(_ users: Double) -> [Double] {
        let below = denominator(users)
        let outer = -rate * users / (below * below)
        return [users / below, outer * (users - 1), outer * users * (users - 1)]
    }

    /// The Gauss-Newton step; parameters at their bound that would cross it are fixed.
    private func step(_ n: [Double], _ x: [Double], _ weights: [Double]) -> [Double]? {
        var free = [0, 1, 2]
        while !free.isEmpty {
            let rows = n.map { users in
                let all = slopes(users)
                return free.map { all[$0] }
            }
            guard
                let fit = LeastSquares.solve(
                    rows: rows, targets: n.indices.map { x[$0] - throughput(n[$0]) },
                    weights: weights)
            else { return nil }
            var result = [0.0, 0.0, 0.0]
            for (place, index) in free.enumerated() { result[index] = fit.parameters[place] }
            let stuck = free.filter {
                ($0 == 1 && contention <= 0 && result[1] < 0)
                    || ($0 == 2 && crosstalk <= 0 && result[2] < 0)
            }
            if stuck.isEmpty { return result }
            free.removeAll(where: stuck.contains)
        }
        return nil
    }

    private func moved(_ step: [Double], _ size: Double) -> ScalabilityFit {
        var next = self
        next.rate = max(rate * 0.1, rate + size * step[0])
        next.contention = max(0, contention + size * step[1])
        next.crosstalk = max(0, crosstalk + size * step[2])
        return next
    }

    private mutating func finish(_ n: [Double], _ x: [Double], _ weights: [Double]) {
        residuals = n.indices.map { x[$0] - throughput(n[$0]) }
        let mean = SampleStatistics.mean(x)
        let total = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let rest = residuals.reduce(0) { $0 + $1 * $1 }
        rSquared = total > 0 ? 1 - rest / total : 0
        guard n.count > 3,
            let fit = LeastSquares.solve(rows: n.map(slopes), targets: residuals, weights: weights)
        else { return }
        let scale = squares(n, x, weights) / Double(n.count - 3)
        let errors = (0..<3).map { (max(0, fit.inverse[$0][$0]) * scale).squareRoot() }
        standardErrors = errors.allSatisfy(\.isFinite) ? errors : nil
    }
}
