// Part of Inkstone. Licence: see LICENSE.

/// A fit of the time of an evaluation over the number of image tokens: a + b T + c T^2.
public struct TokenFit: Sendable, Equatable, Codable {
    /// A size and its mean time.
    public struct Size: Sendable, Equatable, Codable {
        /// `WxH`.
        public var size: String
        /// Number of image tokens.
        public var tokens: Double
        /// Mean seconds of an evaluation.
        public var seconds: Double

        /// Creates a size.
        public init(size: String, tokens: Double, seconds: Double) {
            self.size = size
            self.tokens = tokens
            self.seconds = seconds
        }
    }

    /// The sizes, sorted by tokens.
    public var sizes: [Size]
    /// The constant term in seconds.
    public var constant: Double
    /// The linear term in seconds a token.
    public var linear: Double
    /// The quadratic term in seconds a squared token.
    public var quadratic: Double
    /// Coefficient of determination.
    public var rSquared: Double
    /// Share of the quadratic term at the largest size.
    public var quadraticShare: Double
    /// Share of attention in the operations at the largest size, if the model is known.
    public var attentionShare: Double?

    /// Fits the levels of a sweep of sizes; `nil` for other runs and for fewer than four sizes.
    public init?(_ evidence: RunEvidence) {
        guard evidence.manifest.sweep == .resolution else { return nil }
        // With more users, images share evaluations, whose times are then not those of one image.
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
    public init?(sizes: [Size], attentionShare: Double?) {
        let sizes = sizes.sorted { $0.tokens < $1.tokens }
        guard Set(sizes.map(\.tokens)).count >= 4, let last = sizes.last,
            let fit = LeastSquares.solve(
                rows: sizes.map { [1, $0.tokens, $0.tokens * $0.tokens] },
                targets: sizes.map(\.seconds),
                // Relative residuals, so that large sizes do not dominate.
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

    /// The fit in one sentence.
    public var text: String {
        "An evaluation of T tokens takes \(Figures.significant(1000 * constant, 3)) ms + "
            + "\(Figures.significant(1e6 * linear, 3)) µs T + \(Figures.significant(1e9 * quadratic, 3)) ns T² "
            + "(R² = \(Figures.decimals(rSquared, 4)), \(sizes.count) sizes). At \(sizes.last?.size ?? "-") the "
            + "quadratic part is \(Figures.decimals(100 * quadraticShare, 0)) % of it"
            + (attentionShare.map {
                "; attention is \(Figures.decimals(100 * $0, 0)) % of the operations."
            } ?? ".")
    }
}
