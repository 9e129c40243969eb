// Part of Inkstone. Licence: see LICENSE.

package import Parameters

/// A sampler at work on one image: an automaton that asks for one evaluation of the model at a time.
///
/// ``query`` is what to evaluate next, ``take(_:draw:)`` receives the result. The model's answer is a velocity *v*; the
/// image that it predicts is `D = x - level * v`.
package struct SamplerRun: Sendable {
    /// What the model is evaluated at.
    package struct Query: Sendable, Equatable {
        package var latents: [Float]
        package var level: Double
    }

    /// What a sampler is run with, other than its levels.
    package struct Settings: Sendable, Equatable {
        package var sampler: Sampler
        /// Share of the noise that samplers with noise add; 0 makes them deterministic.
        package var eta: Double
        /// The shift of the schedule, from which ER-SDE's first level is computed.
        package var shift: Double
        /// The highest order of UniPC; `nil` chooses it by the number of steps.
        package var order: Int?

        package init(_ sampler: Sampler, eta: Double = 1, shift: Double = 3, order: Int? = nil) {
            self.sampler = sampler
            self.eta = eta
            self.shift = shift
            self.order = order
        }
    }

    /// A prediction of an earlier step and the level that it was made at.
    struct Past: Sendable {
        let prediction: [Float]
        let level: Double
    }

    /// The latents between two steps; between the two evaluations of a step, those at its beginning.
    package internal(set) var latents: [Float]
    /// The levels of all steps, and 0.
    package let levels: [Double]
    /// Evaluations done.
    package private(set) var evaluations = 0
    let settings: Settings
    /// The step to do next.
    private(set) var index = 0
    /// The second evaluation of a step, and what the first one gave: a velocity, or a prediction.
    private var second: (query: Query, first: [Float])?
    /// Predictions, the newest first.
    var past: [Past] = []
    var corrector: UniPCCorrector?

    /// Starts from latents of the first level's noise.
    package init(_ settings: Settings, levels: [Double], latents: [Float]) {
        var levels = levels
        if levels[0] >= 1 {
            switch settings.sampler {
            // Its formulas need a finite ratio of noise to signal; ComfyUI starts from the same level.
            case .erSDE:
                let (shift, time) = (settings.shift, 1 - 1e-4)
                levels[0] = max(shift * time / (1 + (shift - 1) * time), (1 + levels[1]) / 2)
            // As diffusers.
            case .uniPC: levels[0] = 1 - 1e-6
            default: break
            }
        }
        self.settings = settings
        self.levels = levels
        self.latents = latents
    }

    /// Evaluations of the whole run.
    package var totalEvaluations: Int {
        settings.sampler.evaluations(steps: levels.count - 1)
    }
    package var isFinished: Bool { index == levels.count - 1 }
    /// Whether a step is complete: the latents have the noise of ``level``.
    package var isBetweenSteps: Bool { second == nil }
    /// The noise level of ``latents``.
    package var level: Double { levels[index] }

    /// What to evaluate next; valid until the run is finished.
    package var query: Query { second?.query ?? Query(latents: latents, level: levels[index]) }

    /// Continues with the velocity that the model returns for ``query``.
    ///
    /// - Parameters:
    ///   - velocity: noise minus image, `[C, h, w]`.
    ///   - draw: returns the next so many normal numbers of the image's generator.
    package mutating func take(_ velocity: [Float], draw: (Int) -> [Float]) {
        evaluations += 1
        if let (query, first) = second {
            second = nil
            finish(query, first, velocity, draw)
            index += 1
            return
        }
        let (a, b) = (levels[index], levels[index + 1])
        if b > 0, settings.sampler.evaluatesTwice {
            second = halfStep(velocity, a, b)
            return
        }
        switch settings.sampler {
        case .euler, .heun, .dpm2, .res2S: descend(velocity, a, b)
        case .dpmpp2SAncestral, .eulerAncestral, .lcm, .dpmpp2MSDE, .erSDE:
            stochasticStep(prediction(velocity), a, b, draw)
        case .dpmpp2M, .dpmpp2MLambda, .resMultistep:
            multistep(prediction(velocity), a, b)
        case .uniPC: uniPCStep(prediction(velocity), a, b)
        }
        index += 1
    }

    /// The finished image as predicted at the query, given the model's velocity for it.
    package func prediction(_ velocity: [Float]) -> [Float] {
        let query = query
        let level = Float(query.level)
        var prediction = query.latents
        for index in prediction.indices { prediction[index] -= level * velocity[index] }
        return prediction
    }

    /// A straight line from level a to level b, in the reference's order of operations.
    private mutating func descend(_ velocity: [Float], _ a: Double, _ b: Double) {
        let distance = Float(b) - Float(a)
        for index in latents.indices { latents[index] += distance * velocity[index] }
    }

    // MARK: - Two evaluations

    /// The second evaluation of a step from level a to level b.
    private func halfStep(
        _ velocity: [Float], _ a: Double, _ b: Double
    ) -> (query: Query, first: [Float]) {
        switch settings.sampler {
        case .heun, .dpm2:
            let level = settings.sampler == .heun ? b : (a * b).squareRoot()
            return (
                Query(latents: Self.sum((1, latents), (level - a, velocity)), level: level),
                velocity
            )
        case .res2S:
            let first = prediction(velocity)
            let step = Logarithmic.distance(a, b)
            let share = 0.5 * step * Logarithmic.phi1(-0.5 * step)
            let query = Query(
                latents: Self.sum((1 - share, latents), (share, first)),
                level: a * exponential(-0.5 * step))
            return (query, first)
        default:
            let first = prediction(velocity)
            let lower = AncestralStep(from: a, to: b, eta: settings.eta).lower
            let level =
                a >= 1
                ? 0.9999 : 1 / (1 + ((1 - a) * (1 - lower) / (a * lower)).squareRoot())
            return (
                Query(latents: Self.line(latents, first, level / a), level: level), first
            )
        }
    }

    /// The end of a step of two evaluations.
    private mutating func finish(
        _ query: Query, _ first: [Float], _ velocity: [Float], _ draw: (Int) -> [Float]
    ) {
        let (a, b) = (levels[index], levels[index + 1])
        switch settings.sampler {
        case .heun:
            latents = Self.sum((1, latents), ((b - a) / 2, first), ((b - a) / 2, velocity))
        case .dpm2: latents = Self.sum((1, latents), (b - a, velocity))
        case .res2S:
            let predicted = Self.sum((1, query.latents), (-query.level, velocity))
            let step = Logarithmic.distance(a, b)
            let late = 2 * step * Logarithmic.phi2(-step)
            let early = step * Logarithmic.phi1(-step) - late
            latents = Self.sum((1 - early - late, latents), (early, first), (late, predicted))
        default:
            let predicted = Self.sum((1, query.latents), (-query.level, velocity))
            ancestralStep(predicted, a, b, draw)
        }
    }

    // MARK: - Sums

    /// The sum of scaled arrays, rounded once.
    static func sum(_ terms: (factor: Double, numbers: [Float])...) -> [Float] { sum(of: terms) }

    static func sum(of terms: [(factor: Double, numbers: [Float])]) -> [Float] {
        var sums = [Double](repeating: 0, count: terms[0].numbers.count)
        for (factor, numbers) in terms where factor != 0 {
            for index in sums.indices { sums[index] += factor * Double(numbers[index]) }
        }
        return sums.map { Float($0) }
    }

    /// `ratio * latents + (1 - ratio) * prediction`.
    static func line(_ latents: [Float], _ prediction: [Float], _ ratio: Double) -> [Float] {
        sum((ratio, latents), (1 - ratio, prediction))
    }
}
