// Part of Inkstone. Licence: see LICENSE.

import Parameters

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// e to the power of a number.
func exponential(_ power: Double) -> Double { exp(power) }

/// Steps in the logarithm of the noise level, and the functions of exponential integrators.
enum Logarithmic {
    /// How far level b is below level a.
    static func distance(_ a: Double, _ b: Double) -> Double { log(a / b) }

    /// Half the logarithm of the signal-to-noise ratio: minus infinity at 1, infinity at 0.
    static func lambda(_ level: Double) -> Double {
        level >= 1 ? -.infinity : level <= 0 ? .infinity : log((1 - level) / level)
    }

    static func phi1(_ t: Double) -> Double { expm1(t) / t }
    static func phi2(_ t: Double) -> Double { (phi1(t) - 1) / t }
}

extension SamplerRun {
    /// A step of a sampler that uses the prediction of the step before and adds no noise.
    ///
    /// The first step and the one to level 0 are straight lines.
    mutating func multistep(_ predicted: [Float], _ a: Double, _ b: Double) {
        defer { past = [Past(prediction: predicted, level: a)] }
        guard let before = past.first, b > 0 else {
            latents = Self.line(latents, predicted, b / a)
            return
        }
        if settings.sampler == .resMultistep {
            let step = Logarithmic.distance(a, b)
            let ratio = -Logarithmic.distance(before.level, a) / step
            let old = step * Logarithmic.phi2(-step) / ratio
            let new = step * Logarithmic.phi1(-step) - old
            latents = Self.sum((b / a, latents), (new, predicted), (old, before.prediction))
            return
        }
        let ratio: Double
        if settings.sampler == .dpmpp2M {
            ratio = Logarithmic.distance(a, b) / Logarithmic.distance(before.level, a)
        } else {
            // 0 where the step before began at level 1.
            let lambda = Logarithmic.lambda(a)
            ratio =
                (Logarithmic.lambda(b) - lambda) / (lambda - Logarithmic.lambda(before.level))
        }
        let rest = 1 - b / a
        latents = Self.sum(
            (b / a, latents), (rest * (1 + ratio / 2), predicted),
            (-rest * ratio / 2, before.prediction))
    }
}

/// What UniPC's corrector needs of the step before.
struct UniPCCorrector: Sendable {
    /// The latents at the beginning of that step.
    let latents: [Float]
    let order: Int
}

extension SamplerRun {
    /// The highest order of UniPC.
    private var uniPCOrder: Int { settings.order ?? (levels.count - 1 > 20 ? 3 : 2) }

    /// Corrects the step before with the new prediction, then predicts the next level.
    mutating func uniPCStep(_ predicted: [Float], _ a: Double, _ b: Double) {
        guard b > 0 else {
            latents = predicted
            return
        }
        if let corrector, past.count > 0 {
            latents = uniPC(
                from: corrector.latents, past, to: a, order: corrector.order, corrected: predicted)
        }
        let steps = levels.count - 1
        let order = min(uniPCOrder, index + 1, steps - index)
        corrector = UniPCCorrector(latents: latents, order: order)
        past.insert(Past(prediction: predicted, level: a), at: 0)
        if past.count > uniPCOrder { past.removeLast() }
        latents = uniPC(from: latents, past, to: b, order: order, corrected: nil)
    }

    /// A step of the solver from the newest prediction's level to `b`.
    ///
    /// - Parameters:
    ///   - start: the latents at the newest prediction's level.
    ///   - past: the predictions, newest first.
    ///   - b: the level to go to.
    ///   - order: predictions that are used.
    ///   - corrected: the prediction at `b`, for the corrector.
    /// - Returns: the latents at level `b`.
    private func uniPC(
        from start: [Float], _ past: [Past], to b: Double, order: Int, corrected: [Float]?
    ) -> [Float] {
        let (newest, a) = (past[0].prediction, past[0].level)
        let lambda = Logarithmic.lambda(a)
        let step = Logarithmic.lambda(b) - lambda
        let base = expm1(-step)
        let older = past.dropFirst().prefix(order - 1)
        var places = older.map { (Logarithmic.lambda($0.level) - lambda) / step }
        var weights: [Double]
        if corrected == nil {
            weights = order == 2 ? [0.5] : Self.weights(places, step)
        } else {
            places.append(1)
            weights = order == 1 ? [0.5] : Self.weights(places, step)
        }
        let scale = -(1 - b) * base
        // The weights belong to differences from the newest prediction.
        var own = scale
        var sums = [Double](repeating: 0, count: start.count)
        func add(_ factor: Double, _ numbers: [Float]) {
            for index in sums.indices { sums[index] += factor * Double(numbers[index]) }
        }
        for (index, one) in older.enumerated() {
            let factor = scale * weights[index] / places[index]
            add(factor, one.prediction)
            own -= factor
        }
        if let corrected {
            let factor = scale * weights[older.count]
            add(factor, corrected)
            own -= factor
        }
        add(own, newest)
        add(b / a, start)
        return sums.map { Float($0) }
    }

    /// Solves the system that makes the step exact for polynomials.
    private static func weights(_ places: [Double], _ step: Double) -> [Double] {
        let (count, h) = (places.count, -step)
        let base = expm1(h)
        var rows: [[Double]] = []
        var factorial = 1.0
        var g = base / h - 1
        for power in 0..<count {
            rows.append(places.map { pow($0, Double(power)) } + [g * factorial / base])
            factorial *= Double(power + 2)
            g = g / h - 1 / factorial
        }
        return solve(rows)
    }

    /// Gaussian elimination of a small system; each row ends in its right side.
    private static func solve(_ rows: [[Double]]) -> [Double] {
        var rows = rows
        let count = rows.count
        for column in 0..<count {
            let pivot = (column..<count).max { abs(rows[$0][column]) < abs(rows[$1][column]) }
            rows.swapAt(column, pivot ?? column)
            for row in 0..<count where row != column {
                let factor = rows[row][column] / rows[column][column]
                for index in column...count { rows[row][index] -= factor * rows[column][index] }
            }
        }
        return (0..<count).map { rows[$0][count] / rows[$0][$0] }
    }
}
