// Part of Inkstone. Licence: see LICENSE.

/// Decides which evaluations of an image are left out, and what takes the place of their outputs.
///
/// An output is expected to change as much, relative to the latents, as between the last two evaluations. While the changes that are
/// expected since the last evaluation add up to less than a threshold, its output is used again, moved with the latents.
/// The positive prompt decides for both. Sums are computed in f64 from the image's own numbers, in their order, so that a
/// decision does not depend on what shares a batch.
///
/// - Source: EasyCache (arXiv 2507.02860), equations 3 to 6, with the bounds of ``first``, ``last`` and ``row``.
package struct StepCache: Sendable {
    /// What an output depends on beside latents and level: outputs of different ones are not compared.
    package struct Conditions: Sendable, Equatable {
        /// Prompts that are evaluated: one, or two with guidance.
        let branches: Int
        /// Whether the prompt has noise.
        let isVaried: Bool
        /// Indices of the ControlNets that act.
        let controls: [Int]

        package init(branches: Int, isVaried: Bool = false, controls: [Int] = []) {
            self.branches = branches
            self.isVaried = isVaried
            self.controls = controls
        }
    }

    private struct Evaluation: Sendable {
        let latents: [Float]
        let outputs: [[Float]]
        let conditions: Conditions
    }

    /// Evaluations at the beginning that are always made.
    static let first = 3
    /// Evaluations at the end that are always made.
    static let last = 2
    /// Evaluations in a row that may be left out.
    static let row = 3

    private let threshold: Double
    private var known: Evaluation?
    /// Change of the output relative to that of the latents, between the last two evaluations.
    private var rate: Double?
    private var expected = 0.0
    private var reused = 0

    /// A cache that allows relative changes below `threshold`.
    package init(threshold: Double) { self.threshold = threshold }

    /// Records the outputs of an evaluation: the model's, for the positive and the negative prompt.
    package mutating func record(
        _ outputs: [[Float]], at latents: [Float], _ conditions: Conditions
    ) {
        rate = nil
        if let known, known.conditions == conditions {
            let moved = Self.distance(latents, known.latents)
            if moved > 0 { rate = Self.distance(outputs[0], known.outputs[0]) / moved }
        }
        known = Evaluation(latents: latents, outputs: outputs, conditions: conditions)
        (expected, reused) = (0, 0)
    }

    /// Decides whether an evaluation is left out.
    ///
    /// - Parameters:
    ///   - latents: what would be evaluated.
    ///   - conditions: what else it depends on.
    ///   - evaluation: its number, from 0.
    ///   - count: evaluations of the run.
    /// - Returns: the outputs to use in its place; `nil` if it has to be made.
    package mutating func reuse(
        at latents: [Float], _ conditions: Conditions, evaluation: Int, of count: Int
    ) -> [[Float]]? {
        guard let known, let rate, known.conditions == conditions, reused < Self.row,
            evaluation >= Self.first, evaluation < count - Self.last
        else { return nil }
        let size = known.outputs[0].reduce(0.0) { $0 + abs(Double($1)) }
        expected +=
            rate * Self.distance(latents, known.latents) * Double(latents.count)
            / max(size, .leastNormalMagnitude)
        guard expected < threshold else { return nil }
        reused += 1
        // The model's output is the negative velocity.
        return known.outputs.map { output in
            output.indices.map { output[$0] - (latents[$0] - known.latents[$0]) }
        }
    }

    /// The mean distance of two arrays' numbers.
    private static func distance(_ a: [Float], _ b: [Float]) -> Double {
        var sum = 0.0
        for index in a.indices { sum += abs(Double(a[index]) - Double(b[index])) }
        return sum / Double(max(1, a.count))
    }
}
