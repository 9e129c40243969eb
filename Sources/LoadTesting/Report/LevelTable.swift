// Part of Inkstone. Licence: see LICENSE.

/// The table of a run's levels, as Markdown, CSV and for the HTML page.
public struct LevelTable: Sendable {
    /// A column: its title, and its cell for a level.
    struct Column: Sendable {
        var title: String
        var isNumeric = true
        var cell: @Sendable (LevelEvidence, LevelFigures) -> String
    }

    let evidence: RunEvidence
    let audit: AuditReport

    /// Creates the table of a run and its audit.
    public init(_ evidence: RunEvidence, audit: AuditReport) {
        self.evidence = evidence
        self.audit = audit
    }

    /// Title of the first column: users, or the parameter that a sweep varies.
    var subject: String {
        switch evidence.manifest.sweep {
        case .resolution: "size"
        case .steps: "steps"
        case .precision: "precision"
        default: evidence.closed.isEmpty ? "level" : "users"
        }
    }

    /// The worst verdict of the findings about a level.
    static func verdict(_ level: LevelEvidence, _ audit: AuditReport) -> Verdict {
        audit.checks.flatMap(\.findings).filter { $0.level == level.key }.map(\.verdict)
            .max() ?? .notApplicable
    }

    var columns: [Column] {
        let audit = audit
        let sweep = evidence.manifest.sweep
        let measured: [Column] = [
            Column(title: subject) { level, _ in level.label(in: sweep) },
            Column(title: "X img/s (95 %)") { _, figures in
                Self.interval(figures.throughput) { Figures.significant($0, 3) }
            },
            Column(title: "n") { _, figures in "\(figures.endToEnd.n)" },
            Column(title: "E2E ms mean (95 %)") { _, figures in
                Self.interval(figures.endToEnd.mean, Self.ms)
            },
            Column(title: "p50") { _, figures in Self.value(figures.endToEnd.p50) },
            Column(title: "p95") { _, figures in Self.value(figures.endToEnd.p95) },
            Column(title: "p99") { _, figures in Self.value(figures.endToEnd.p99) },
            Column(title: "max") { _, figures in figures.endToEnd.max.map(Self.ms) ?? "-" },
            Column(title: "TTFP ms p50") { _, figures in Self.value(figures.firstPreview.p50) },
            Column(title: "p95") { _, figures in Self.value(figures.firstPreview.p95) },
            Column(title: "errors") { _, figures in Proportion.text(figures.errorRate) },
            Column(title: "in flight") { _, figures in Figures.decimals(figures.inFlight, 2) },
            Column(title: "memory MiB") { level, _ in
                let resources = level.result?.resources
                return (resources?.deviceMemoryMax ?? resources?.serverProportionalMax)
                    .map(Figures.grouped) ?? "-"
            },
        ]
        let judged: [Column] = [
            Column(title: "MFU") { _, figures in
                figures.peakShare.map { "\(Figures.significant(100 * $0, 2)) %" } ?? "-"
            },
            Column(title: "audit", isNumeric: false) { level, _ in
                let verdict = Self.verdict(level, audit)
                return verdict == .pass ? "ok" : verdict.rawValue
            },
        ]
        return measured + costColumns + judged
    }

    /// Energy and money, where they are known.
    private var costColumns: [Column] {
        let manifest = evidence.manifest
        let costs = evidence.levels.compactMap { $0.cost(manifest) }
        var columns: [Column] = []
        if costs.contains(where: { $0.joulesPerImage != nil }) {
            columns.append(
                Column(title: "J/img") { level, _ in
                    level.cost(manifest)?.joulesPerImage.map { Figures.significant($0, 3) } ?? "-"
                })
        }
        if let currency = costs.compactMap(\.currency).first {
            columns.append(
                Column(title: "\(currency) for 1000 img") { level, _ in
                    let money = level.cost(manifest)?.moneyPerImage
                    return money.map { Figures.significant(1000 * $0, 3) } ?? "-"
                })
        }
        return columns
    }

    var rows: [(level: LevelEvidence, cells: [String])] {
        let columns = columns
        return evidence.levels.compactMap { level in
            level.figures.map { figures in (level, columns.map { $0.cell(level, figures) }) }
        }
    }

    static func ms(_ value: Double) -> String {
        value >= 100 ? Figures.decimals(value, 0) : Figures.significant(value, 3)
    }

    private static func value(_ estimate: Estimate) -> String { estimate.value.map(ms) ?? "-" }

    private static func interval(_ estimate: Estimate, _ text: (Double) -> String) -> String {
        guard let value = estimate.value else { return "-" }
        guard let low = estimate.low, let high = estimate.high else { return text(value) }
        return "\(text(value)) (\(text(low))-\(text(high)))"
    }

    /// Notes under the table: deviations of the mean over completed requests from that over started
    /// ones, missing figures, unsteady levels, and the notes of the run.
    var notes: [String] {
        var notes: [String] = []
        for level in evidence.levels {
            guard let figures = level.figures else { continue }
            let name = level.label(in: evidence.manifest.sweep)
            if let started = figures.endToEnd.mean.value,
                let completed = figures.endToEndCompleted.value, started > 0,
                abs(completed / started - 1) > 0.01
            {
                notes.append(
                    "\(name): mean E2E of requests completed in the window is \(Self.ms(completed)) ms."
                )
            }
            let lost = [
                ("X", figures.throughput), ("p95", figures.endToEnd.p95),
                ("p99", figures.endToEnd.p99),
            ].compactMap { what, estimate in estimate.reason.map { "\(what): \($0)" } }
            if !lost.isEmpty { notes.append("\(name): \(lost.joined(separator: "; ")).") }
            if let kinds = Self.kinds(level, figures) { notes.append("\(name): \(kinds).") }
            if let unsteady = figures.unsteady { notes.append("\(name): unsteady, \(unsteady).") }
            for note in level.result?.notes ?? [] { notes.append("\(name): \(note)") }
        }
        return notes
    }

    /// The mean E2E of each kind of request, by task and LoRA; `nil` when there is only one.
    private static func kinds(_ level: LevelEvidence, _ figures: LevelFigures) -> String? {
        let started = level.load.filter { $0.isValid && figures.window.contains($0.times.send) }
        let kinds = Dictionary(grouping: started) { record in
            record.parameters.task + (record.parameters.lora.map { " with LoRA \($0)" } ?? "")
        }
        guard kinds.count > 1 else { return nil }
        let parts = kinds.sorted { $0.key < $1.key }.map { kind, records in
            "\(kind) \(ms(SampleStatistics.mean(records.compactMap(\.endToEndMs)))) ms (n = \(records.count))"
        }
        return "mean E2E of " + parts.joined(separator: ", ")
    }
}
