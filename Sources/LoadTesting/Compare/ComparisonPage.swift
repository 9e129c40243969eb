// Part of Inkstone. Licence: see LICENSE.

/// A comparison of two runs as one HTML file.
public struct ComparisonPage: Sendable {
    /// The comparison.
    public let comparison: RunComparison
    let base: RunEvidence
    let new: RunEvidence

    /// Compares two runs whose figures are computed; see ``RunComparison``.
    public init(base: RunEvidence, new: RunEvidence, practical: Double = 0.02) {
        comparison = RunComparison(base: base, new: new, practical: practical)
        self.base = base
        self.new = new
    }

    /// The page.
    public var html: String {
        ReportStyle.document(title: "Comparison · imgbench") { out in
            out.element("h1", "", "Two runs compared")
            out.element("p", "class=\"sub\"", comparison.explanation)
            out.element("div", "class=\"charts\"") { out in
                panel(&out, "Throughput", "img/s") { $0.throughput }
                panel(&out, "Time to first preview, mean", "ms") { $0.firstPreview.mean }
                panel(&out, "E2E, mean", "ms") { $0.endToEnd.mean }
            }
            out.element("h2", "", "Level by level")
            table(&out)
            for (title, run) in [("Base", base), ("New", new)] {
                out.element("h2", "", title)
                out.element(
                    "p", "class=\"note\"",
                    LevelTable(run, audit: AuditReport(subject: "", checks: [])).provenance)
            }
        }
    }

    private func panel(
        _ out: inout Markup, _ title: String, _ unit: String, _ value: (LevelFigures) -> Estimate
    ) {
        var layers: [Plot.Layer] = []
        var all: [Double] = []
        var users: [Int] = []
        for (color, run) in [(5, base), (0, new)] {
            let closed = run.closed
            let points = closed.compactMap { users, _, figures in
                value(figures).value.map { Plot.Point(Double(users), $0) }
            }
            guard points.count > 1 else { continue }
            let intervals = closed.compactMap {
                users, _, figures -> (x: Double, low: Double, high: Double)? in
                let estimate = value(figures)
                guard let low = estimate.low, let high = estimate.high else { return nil }
                return (Double(users), low, high)
            }
            layers += [
                .line(
                    points, color: color, isDashed: color == 5, label: color == 5 ? "base" : "new"),
                .intervals(intervals, color: color), .scatter(points, color: color, label: nil),
            ]
            all += points.map(\.y)
            users += closed.map(\.users)
        }
        guard !layers.isEmpty else { return }
        let high = Double(users.max() ?? 1) * 1.04
        let ticks = Set(users).sorted().filter { Double($0) > 0.04 * high || $0 == 1 }
        let plot = Plot(
            title: title,
            x: PlotAxis("users", low: 0, high: high, ticks: ticks.map { (Double($0), "\($0)") }),
            y: PlotAxis(unit, around: all), layers: layers)
        out.element("div", "class=\"panel\"") { out in
            out.element("h3", "", title)
            out.raw(plot.svg)
        }
    }

    private func table(_ out: inout Markup) {
        out.element("div", "class=\"scroll\"") { out in
            out.element("table") { out in
                out.raw(
                    "<tr><th>level</th><th>metric</th><th class=\"num\">base</th><th class=\"num\">new</th>"
                        + "<th class=\"num\">ratio (95 %)</th><th>verdict</th></tr>")
                // The cells of the Markdown table, so that the two agree.
                for line in comparison.markdown.split(separator: "\n").dropFirst(2)
                where line.hasPrefix("| ") {
                    let cells = line.dropFirst(2).dropLast(2).split(separator: " | ").map(
                        String.init)
                    out.element("tr") { out in
                        for (index, cell) in cells.enumerated() {
                            if index == 5 {
                                let style =
                                    cell == "faster" ? "pass" : cell == "slower" ? "fail" : "na"
                                out.element("td") {
                                    $0.element("span", "class=\"tag \(style)\"", cell)
                                }
                            } else {
                                out.element(
                                    "td", (2...4).contains(index) ? "class=\"num\"" : "", cell)
                            }
                        }
                    }
                }
            }
        }
    }
}
