// Part of Inkstone. Licence: see LICENSE.

/// The report of a run as one self-contained HTML file.
struct ReportPage {
    let evidence: RunEvidence
    let audit: AuditReport
    let summary: RunSummary
    var images: [ContactSheet.Entry] = []
    var quality: QualityReport?
    var steps: StepSheet?
    var sizes: TokenFit?

    var plots: ReportPlots { ReportPlots(evidence: evidence, knee: summary.knee) }
    var table: LevelTable { LevelTable(evidence, audit: audit) }

    /// The page.
    var html: String {
        ReportStyle.document(title: "\(summary.name) · imgbench") { out in
            out.element("h1", "", summary.name)
            let target = summary.target
            out.element(
                "p", "class=\"sub\"",
                [target.model, target.server, target.url, evidence.manifest.run].compactMap(\.self)
                    .joined(separator: " · "))
            banner(&out)
            if let headline = summary.headline {
                out.element(
                    "p", "class=\"headline\(audit.hasPassed ? "" : " refused")\"", headline.text)
            }
            tiles(&out)
            levels(&out)
            curves(&out)
            percentiles(&out)
            timelines(&out)
            wide(&out, "Memory over time", plots.memory)
            sweeps(&out)
            errors(&out)
            checks(&out)
            sheet(&out)
            provenance(&out)
        }
    }

    // MARK: - Top

    private func banner(_ out: inout Markup) {
        let counts = Verdict.allCases.reversed().compactMap { verdict -> String? in
            let count = audit.checks.count { $0.verdict == verdict }
            return count > 0 ? "\(count) \(verdict.rawValue)" : nil
        }.joined(separator: ", ")
        let (style, words): (String, String) =
            switch audit.verdict {
            case .fail: ("fail", "The audit failed: these figures must not be published.")
            case .warn: ("warn", "The audit passed with warnings.")
            default: ("pass", "The audit passed.")
            }
        out.element("div", "class=\"banner \(style)\"") { out in
            out.element("div", "", words)
            out.element("span", "", "\(audit.checks.count) checks: \(counts)")
        }
        if summary.isPartial {
            out.element(
                "div", "class=\"banner partial\" style=\"margin-top:10px\"",
                "Partial: the run was interrupted. What is shown was measured before.")
        }
    }

    private func tiles(_ out: inout Markup) {
        guard let headline = summary.headline, let throughput = headline.throughput,
            let best = evidence.levels.first(where: { $0.key == headline.level }),
            let figures = best.figures
        else { return }
        let first = evidence.levels.first { $0.figures != nil }
        let firstFigures = first?.figures
        func tile(_ out: inout Markup, _ value: String, _ what: String) {
            out.element("div", "class=\"tile\"") { out in
                out.element("b", "", value)
                out.element("small", "", what)
            }
        }
        out.element("div", "class=\"tiles\"") { out in
            if let goodput = headline.goodput {
                tile(
                    &out, "\(Figures.significant(goodput, 3)) /s",
                    "goodput: images that met every objective"
                        + Self.interval(figures.goodput, 3))
            }
            tile(
                &out, "\(Figures.significant(throughput, 3)) img/s",
                (headline.goodput == nil ? "highest throughput, " : "throughput, ")
                    + (best.users.map { "\($0) users" } ?? best.key)
                    + Self.interval(figures.throughput, 3))
            if let alone = firstFigures?.endToEnd.mean.value, let first {
                tile(
                    &out, "\(LevelTable.ms(alone)) ms",
                    "mean E2E, "
                        + (first.users.map { "\($0) user\($0 == 1 ? "" : "s")" } ?? first.key)
                        + Self.interval(firstFigures?.endToEnd.mean, 3))
            }
            let preview = figures.firstPreview.p50.value
            if let preview, let alone = firstFigures?.firstPreview.p50.value {
                tile(
                    &out, "\(LevelTable.ms(alone)) → \(LevelTable.ms(preview)) ms",
                    "median time to the first preview, first level to best")
            }
            let load = evidence.levels.flatMap(\.load)
            tile(
                &out, Figures.grouped(Double(load.count { $0.isValid })),
                "valid images of \(Figures.grouped(Double(load.count))) requests, each decoded and compared"
            )
        }
    }

    private static func interval(_ estimate: Estimate?, _ digits: Int) -> String {
        guard let low = estimate?.low, let high = estimate?.high else { return "" }
        return " (95 %: \(Figures.significant(low, digits))-\(Figures.significant(high, digits)))"
    }

    private func levels(_ out: inout Markup) {
        let columns = table.columns
        out.element("h2", "", "Levels")
        out.element("div", "class=\"scroll\"") { out in
            out.element("table") { out in
                out.element("tr") { out in
                    for column in columns {
                        out.element("th", column.isNumeric ? "class=\"num\"" : "", column.title)
                    }
                }
                for row in table.rows {
                    out.element("tr") { out in
                        for (column, cell) in zip(columns, row.cells) {
                            if column.title == "audit" {
                                out.element("td") {
                                    Self.tag(LevelTable.verdict(row.level, audit), &$0)
                                }
                            } else {
                                out.element("td", column.isNumeric ? "class=\"num\"" : "", cell)
                            }
                        }
                    }
                }
            }
        }
        let notes = table.notes
        guard !notes.isEmpty else { return }
        out.element("ul", "class=\"note\"") { out in
            for note in notes { out.element("li", "", note) }
        }
    }

    static func tag(_ verdict: Verdict, _ out: inout Markup) {
        let style = verdict == .notApplicable ? "na" : verdict.rawValue
        out.element("span", "class=\"tag \(style)\"", verdict == .pass ? "ok" : verdict.rawValue)
    }
}
