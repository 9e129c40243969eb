// Part of Inkstone. Licence: see LICENSE.

import Parameters

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The parts of a step that goes below its level and adds noise up to it.
struct AncestralStep {
    /// The level that is gone down to.
    let lower: Double
    /// The factor of the latents before noise is added.
    let scale: Double
    /// The factor of the noise.
    let noise: Double

    init(from a: Double, to b: Double, eta: Double) {
        lower = b * (1 + (b / a - 1) * eta)
        scale = (1 - b) / (1 - lower)
        noise = max(b * b - scale * scale * lower * lower, 0).squareRoot()
    }
}

/// Samplers that add noise after each step but the last.
extension SamplerRun {
    mutating func stochasticStep(
        _ predicted: [Float], _ a: Double, _ b: Double, _ draw: (Int) -> [Float]
    ) {
        guard b > 0 else {
            latents = predicted
            return
        }
        switch settings.sampler {
        case .lcm: latents = Self.sum((1 - b, predicted), (b, draw(latents.count)))
        case .dpmpp2MSDE: multistepSDE(predicted, a, b, draw)
        case .erSDE: extendedReverse(predicted, a, b, draw)
        default: ancestralStep(predicted, a, b, draw)
        }
    }

    /// Down past level b on a straight line, and up to it with noise.
    mutating func ancestralStep(
        _ predicted: [Float], _ a: Double, _ b: Double, _ draw: (Int) -> [Float]
    ) {
        let step = AncestralStep(from: a, to: b, eta: settings.eta)
        let ratio = step.lower / a
        let (old, new) = (step.scale * ratio, step.scale * (1 - ratio))
        latents =
            settings.eta > 0
            ? Self.sum((old, latents), (new, predicted), (step.noise, draw(latents.count)))
            : Self.sum((old, latents), (new, predicted))
    }

    /// DPM++ 2M SDE.
    private mutating func multistepSDE(
        _ predicted: [Float], _ a: Double, _ b: Double, _ draw: (Int) -> [Float]
    ) {
        let (eta, lambda) = (settings.eta, Logarithmic.lambda(a))
        let step = Logarithmic.lambda(b) - lambda
        // 0 times infinity has no value where the step begins at level 1.
        let kept = eta > 0 ? exp(-step * eta) : 1
        let share = (1 - b) * (1 - exp(-step * (1 + eta)))
        var turn = 0.0
        if let before = past.first, before.level < 1 {
            turn = 0.5 * share * step / (lambda - Logarithmic.lambda(before.level))
        }
        let older = past.first?.prediction ?? predicted
        let result = (b / a * kept, latents)
        let noise = b * (1 - kept * kept).squareRoot()
        latents =
            eta > 0
            ? Self.sum(
                result, (share + turn, predicted), (-turn, older), (noise, draw(latents.count)))
            : Self.sum(result, (share + turn, predicted), (-turn, older))
        past = [Past(prediction: predicted, level: a)]
    }

    /// ER-SDE of up to the third order.
    private mutating func extendedReverse(
        _ predicted: [Float], _ a: Double, _ b: Double, _ draw: (Int) -> [Float]
    ) {
        func ratio(_ level: Double) -> Double { level / (1 - level) }
        func weight(_ ratio: Double) -> Double { ratio * (exp(pow(ratio, 0.3)) + 10) }
        let (start, end) = (ratio(a), ratio(b))
        let quotient = weight(end) / weight(start)
        // The factors of the newest three predictions.
        var factors = [(1 - b) * (1 - quotient), 0, 0]
        if let before = past.first {
            let width = (start - end) / 200
            let points = (0..<200).map { end + Double($0) * width }
            let integral = points.reduce(0) { $0 + 1 / weight($1) } * width
            let span = start - ratio(before.level)
            let first = (1 - b) * (end - start + integral * weight(end)) / span
            factors[0] += first
            factors[1] -= first
            if past.count > 1 {
                let moment = points.reduce(0) { $0 + ($1 - start) / weight($1) } * width
                let longer = (start - ratio(past[1].level)) / 2
                let square = (end - start) * (end - start) / 2
                let second = (1 - b) * (square + moment * weight(end)) / longer
                let earlier = ratio(before.level) - ratio(past[1].level)
                factors[0] += second / span
                factors[1] -= second / span + second / earlier
                factors[2] += second / earlier
            }
        }
        let noise =
            (1 - b) * max(end * end - start * start * quotient * quotient, 0).squareRoot()
        var terms = [((1 - b) / (1 - a) * quotient, latents), (factors[0], predicted)]
        for (index, one) in past.enumerated() { terms.append((factors[index + 1], one.prediction)) }
        if settings.eta > 0 { terms.append((noise * settings.eta, draw(latents.count))) }
        latents = Self.sum(of: terms)
        past.insert(Past(prediction: predicted, level: a), at: 0)
        if past.count > 2 { past.removeLast() }
    }
}
