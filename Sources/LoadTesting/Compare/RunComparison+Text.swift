// Part of Inkstone. Licence: see LICENSE.

extension RunComparison {
    /// The table as Markdown, with an explanation.
    public var markdown: String {
        var text =
            "| level | metric | base | new | ratio (95 %) | verdict |\n|---|---|---:|---:|---:|---|\n"
        for row in rows {
            text +=
                "| \(row.level) | \(row.metric.rawValue) \(row.metric.unit) | \(Self.text(row.base)) | "
                + "\(Self.text(row.new)) | \(Self.text(row.ratio)) | \(row.verdict.rawValue) |\n"
        }
        text += "\n" + explanation + "\n"
        return text
    }

    /// The runs compared, and the meaning of the verdicts.
    public var explanation: String {
        var parts = ["Base: \(base). New: \(new)."]
        parts.append(
            isPaired
                ? "Both have the same plan: times are compared pair by pair."
                : "The plans differ: times are compared by their means, resampled in blocks.")
        parts.append(
            "Faster and slower require an interval that excludes 1 and a change of more than "
                + "\(Figures.significant(100 * practical, 2)) %.")
        if !unmatched.isEmpty {
            parts.append("Only in one of them: \(unmatched.joined(separator: ", ")).")
        }
        return parts.joined(separator: " ")
    }

    private static func text(_ estimate: Estimate) -> String {
        guard let value = estimate.value else { return "-" }
        guard let low = estimate.low, let high = estimate.high else {
            return Figures.significant(value, 4)
        }
        return "\(Figures.significant(value, 4)) (\(Figures.significant(low, 4))-"
            + "\(Figures.significant(high, 4)))"
    }
}
