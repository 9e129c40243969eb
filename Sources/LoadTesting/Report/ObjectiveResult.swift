// Part of Inkstone. Licence: see LICENSE.

/// Whether a level met an objective of the scenario.
public struct ObjectiveResult: Codable, Sendable, Equatable {
    /// Key of the level.
    public var level: String
    /// `e2e_p95`, `ttfp_p95` or `errors`.
    public var objective: String
    /// The limit in seconds, or as a share.
    public var limit: Double
    /// The measured value; absent when the sample is too small.
    public var value: Double?
    /// Whether the value does not exceed the limit.
    public var isMet: Bool

    static func all(_ evidence: RunEvidence) -> [ObjectiveResult] {
        let goal = evidence.manifest.objectives
        return evidence.levels.flatMap { level -> [ObjectiveResult] in
            guard let figures = level.figures else { return [] }
            let values = [
                ("e2e_p95", goal.endToEndP95, figures.endToEnd.p95.value.map { $0 / 1000 }),
                (
                    "ttfp_p95", goal.firstPreviewP95,
                    figures.firstPreview.p95.value.map { $0 / 1000 }
                ),
                ("errors", goal.errors, figures.errorRate.value),
            ]
            return values.compactMap { name, limit, value in
                limit.map {
                    ObjectiveResult(
                        level: level.key, objective: name, limit: $0, value: value,
                        isMet: value.map { [limit = $0] in $0 <= limit } ?? false)
                }
            }
        }
    }
}
