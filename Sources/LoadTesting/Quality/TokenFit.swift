// Part of Inkstone. Licence: see LICENSE.

/// The time of an evaluation over the image's tokens: a + b T + c T^2.
package struct TokenFit: Sendable, Equatable, Codable {
    /// A size and its mean time.
    package struct Size: Sendable, Equatable, Codable {
        package var size: String
        package var tokens: Double
        /// Seconds of an evaluation.
        package var seconds: Double

        package init(size: String, tokens: Double, seconds: Double) {
            self.size = size
            self.tokens = tokens
            self.seconds = seconds
        }
    }

    package var sizes: [Size]
    /// Seconds, seconds a token, seconds a squared token.
    package var constant: Double
    package var linear: Double
    package var quadratic: Double
    package var rSquared: Double
    /// Share of the quadratic part at the largest size, measured and by the count of operations.
    package var quadraticShare: Double
    package var attentionShare: Double?

    /// Fits the levels of a sweep of sizes; `nil` for other runs and for fewer than four sizes.
    package init?(_ evidence: RunEvidence) {
        guard evidence.manifest.sweep == .resolution else { return nil }
        // More users share passes, whose times are then not those of one image.
        let records = evidence.levels.filter { $0.users == 1 }.flatMap(\.load).filter(\.isValid)
        let sizes = Dictionary(grouping: records, by: \.parameters.size).compactMap {
            size, group -> Size? in
            let times = group.compactMap { record -> Double? in
                if let steps = record.server?.steps, !steps.isEmpty {
                    return SampleStatistics.mean(steps)
                }
                return record.endToEndMs.map { $0 / 1000 / Double(max(1, record.parameters.steps)) }
            }
            guard let first = group.first, !times.isEmpty else { return nil }
            return Size(
                size: size,
                tokens: Double(
                    WorkModel.imageTokens(
                        width: first.parameters.width, height: first.parameters.height)),
                seconds: SampleStatistics.mean(times))
        }
        let largest = records.max {
            $0.parameters.width * $0.parameters.height < $1.parameters.width * $1.parameters.height
        }?.parameters
        let model = evidence.manifest.target.model.flatMap(WorkModel.named)
        let work = largest.flatMap { request in
            model.map { $0.evaluation(width: request.width, height: request.height) }
        }
        self.init(sizes: sizes, attentionShare: work.map { $0.attention / $0.total })
    }

    /// Fits sizes.
    package init?(sizes: [Size], attentionShare: Double?) {
        let sizes = sizes.sorted { $0.tokens < $1.tokens }
        guard Set(sizes.map(\.tokens)).count >= 4, let last = sizes.last,
            let fit = LeastSquares.solve(
                rows: sizes.map { [1, $0.tokens, $0.tokens * $0.tokens] },
                targets: sizes.map(\.seconds),
                // Large sizes must not drown small ones.
                weights: sizes.map { 1 / ($0.seconds * $0.seconds) })
        else { return nil }
        self.sizes = sizes
        (constant, linear, quadratic) = (fit.parameters[0], fit.parameters[1], fit.parameters[2])
        let fitted = { [fit] (tokens: Double) in
            fit.parameters[0] + fit.parameters[1] * tokens + fit.parameters[2] * tokens * tokens
        }
        let mean = SampleStatistics.mean(sizes.map(\.seconds))
        let total = sizes.reduce(0) { $0 + ($1.seconds - mean) * ($1.seconds - mean) }
        let rest = sizes.reduce(0) {
            let difference = $1.seconds - fitted($1.tokens)
            return $0 + difference * difference
        }
        rSquared = total > 0 ? 1 - rest / total : 0
        quadraticShare = quadratic * last.tokens * last.tokens / fitted(last.tokens)
        self.attentionShare = attentionShare
    }

    /// One sentence.
    package var text: String {
        "An evaluation of T tokens takes \(Figures.significant(1000 * constant, 3)) ms + "
            + "\(Figures.significant(1e6 * linear, 3)) µs T + \(Figures.significant(1e9 * quadratic, 3)) ns T² "
            + "(R² = \(Figures.decimals(rSquared, 4)), \(sizes.count) sizes). At \(sizes.last?.size ?? "-") the "
            + "quadratic part is \(Figures.decimals(100 * quadraticShare, 0)) % of it"
            + (attentionShare.map {
                "; attention is \(Figures.decimals(100 * $0, 0)) % of the operations."
            } ?? ".")
    }
}
