// Part of Inkstone. Licence: see LICENSE.

extension RegressionGate {
    /// The tests as a Markdown table, with the verdict and the chance of a false alarm.
    public var markdown: String {
        var text = "| level | metric | base | new | change | p | verdict |\n"
        text += "|---|---|---:|---:|---:|---:|---|\n"
        for row in rows {
            let values = [row.base, row.new].map { Figures.significant($0, 4) }
            let change = Figures.decimals(100 * row.change, 2) + " %"
            let cells = [
                row.level, "\(row.metric.rawValue) \(row.metric.unit)", values[0], values[1],
                change,
                row.probability.map { Figures.significant($0, 2) } ?? "-", Self.verdict(row),
            ]
            text += "| " + cells.joined(separator: " | ") + " |\n"
        }
        return text + "\n" + sentence + "\n"
    }

    private static func verdict(_ row: Row) -> String {
        guard row.probability != nil else { return "too few samples" }
        return row.isWorse ? "worse" : "not shown to be worse"
    }

    /// The verdict in words, with the chance of a false alarm.
    public var sentence: String {
        let worse = rows.filter(\.isWorse).map { "\($0.metric.rawValue) of \($0.level)" }
        var parts: [String] = []
        if !worse.isEmpty { parts.append("Worse: \(worse.joined(separator: ", ")).") }
        if !missing.isEmpty {
            parts.append("Not measured in the new run: \(missing.joined(separator: ", ")).")
        }
        if hasPassed { parts.append("\(new) is not shown to be worse than \(base).") }
        let percent = { (share: Double) in Figures.significant(100 * share, 2) + " %" }
        parts.append(
            "Two runs of the same server raise an alarm with a chance of at most \(percent(chance)): "
                + "\(tests) tests, each with p below \(Figures.significant(limit, 2)) and, except for "
                + "errors, a change of more than \(percent(practical)).")
        return parts.joined(separator: " ")
    }

    /// The tests as test cases for continuous integration.
    package var junit: JUnitReport {
        var cases = rows.map { row in
            JUnitReport.Case(
                group: row.level, name: row.metric.rawValue,
                failure: row.isWorse
                    ? "\(Figures.significant(row.base, 4)) became \(Figures.significant(row.new, 4))"
                        + " \(row.metric.unit), p = \(Figures.significant(row.probability ?? 1, 2))"
                    : nil,
                skipped: row.probability == nil ? "too few samples" : nil)
        }
        cases += missing.map {
            JUnitReport.Case(group: $0, name: "level", failure: "not measured in the new run")
        }
        return JUnitReport(name: "imgbench gate \(new)", cases: cases)
    }
}
