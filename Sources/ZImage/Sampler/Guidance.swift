// Part of Inkstone. Licence: see LICENSE.

/// Classifier-free guidance on raw model outputs.
package struct Guidance: Sendable, Equatable {
    /// *g* in `positive + g (positive - negative)`; 0 is off.
    package var scale: Float
    /// Largest norm of the guided output as a multiple of the unguided; 0 is off.
    package var normalization: Float
    /// Guidance stops at times above this.
    package var truncation: Float

    /// Creates guidance of the given scale.
    package init(scale: Float, normalization: Float = 0, truncation: Float = 1) {
        self.scale = scale
        self.normalization = normalization
        self.truncation = truncation
    }

    /// Returns whether a step at `time` needs the negative branch.
    package func applies(at time: Float) -> Bool {
        scale > 0 && !(truncation <= 1 && time > truncation)
    }

    /// Returns the guided output of both branches.
    package func combine(positive: [Float], negative: [Float]) -> [Float] {
        var guided = zip(positive, negative).map { $0 + scale * ($0 - $1) }
        guard normalization > 0 else { return guided }
        let limit = Self.norm(positive) * Double(normalization)
        let norm = Self.norm(guided)
        if norm > limit {
            let factor = Float(limit / norm)
            for index in guided.indices { guided[index] *= factor }
        }
        return guided
    }

    private static func norm(_ numbers: [Float]) -> Double {
        numbers.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
}
