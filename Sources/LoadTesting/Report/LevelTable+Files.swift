// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension LevelTable {
    /// The provenance of the figures in one line.
    public var provenance: String {
        let manifest = evidence.manifest
        let target = manifest.target
        let loads = evidence.levels.flatMap(\.load)
        let few = { (values: [String]) in
            let unique = Set(values).sorted()
            return unique.count > 4
                ? "\(unique.count) kinds" : unique.joined(separator: ", ")
        }
        let hold = evidence.levels.compactMap { $0.hold?.seconds }
        var parts = [
            "run \(manifest.run)", "\(target.server ?? target.url)",
            "model \(target.model ?? "unknown")", "precision \(target.precision ?? "unknown")",
            "device \(target.devices) x \(target.device ?? "unknown") (\(manifest.host.processor), "
                + "\(manifest.host.logicalProcessors) processors)",
            "size \(few(loads.map(\.parameters.size)))",
            "evaluations \(few(loads.map { "\($0.parameters.steps)" }))",
            "guidance \(few(loads.map { Figures.significant($0.parameters.guidance, 2) }))",
            "interface \(target.dialect.rawValue)",
        ]
        if loads.contains(where: { $0.parameters.source != nil }) {
            parts.append("tasks \(few(loads.map(\.parameters.task)))")
        }
        if let least = hold.min(), let most = hold.max() {
            parts.append(
                least == most
                    ? "held \(Figures.decimals(least, 0)) s"
                    : "held \(Figures.decimals(least, 0))-\(Figures.decimals(most, 0)) s")
        }
        parts += [
            "seed \(manifest.seed)", "plan \(manifest.planDigest.prefix(12))",
            "imgbench \(manifest.program.version)",
            "commit \(manifest.program.commit ?? "unknown")",
        ]
        if evidence.isPartial { parts.append("PARTIAL: interrupted") }
        return parts.joined(separator: "; ") + "."
    }

    /// The table as Markdown, with provenance and notes.
    public var markdown: String {
        let columns = columns
        let line = { (cells: [String]) in
            "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
        }
        var text = audit.worstInWords.map { "**Not a result: the audit failed.** \($0)\n\n" } ?? ""
        text += line(columns.map(\.title))
        text += "|" + columns.map { $0.isNumeric ? "---:|" : "---|" }.joined() + "\n"
        for row in rows { text += line(row.cells) }
        text += "\n<sub>\(Markup.escaped(provenance))"
        for note in notes { text += "<br>\n\(Markup.escaped(note))" }
        return text + "</sub>\n"
    }

    /// The figures as CSV, with full precision; missing values are empty.
    public var csv: String {
        let header =
            "level,visit,users,n,x_img_per_s,x_low,x_high,issue_rate,goodput,e2e_mean_ms,e2e_low,e2e_high,"
            + "e2e_p50_ms,e2e_p95_ms,e2e_p99_ms,e2e_max_ms,ttfp_p50_ms,ttfp_p95_ms,ttfb_p50_ms,"
            + "error_rate,error_low,error_high,in_flight,little_residual,device_mib,host_mib,"
            + "tester_cores,mfu,unsteady,audit"
        let number = { (value: Double?) in value.map { Figures.significant($0, 8) } ?? "" }
        var text = header + "\n"
        for level in evidence.levels {
            guard let figures = level.figures else { continue }
            let resources = level.result?.resources
            let values: [Double?] = [
                figures.throughput.value, figures.throughput.low, figures.throughput.high,
                figures.issueRate, figures.goodput?.value, figures.endToEnd.mean.value,
                figures.endToEnd.mean.low, figures.endToEnd.mean.high, figures.endToEnd.p50.value,
                figures.endToEnd.p95.value, figures.endToEnd.p99.value, figures.endToEnd.max,
                figures.firstPreview.p50.value, figures.firstPreview.p95.value,
                figures.answerHead.p50.value, figures.errorRate.value, figures.errorRate.low,
                figures.errorRate.high, figures.inFlight, figures.littleResidual,
                resources?.deviceMemoryMax, resources?.serverProportionalMax,
                resources?.testerCores, figures.peakShare,
            ]
            let cells =
                [
                    level.visit.level, "\(level.visit.visit)", level.users.map(String.init) ?? "",
                    "\(figures.endToEnd.n)",
                ] + values.map(number) + [
                    figures.unsteady == nil ? "no" : "yes", Self.verdict(level, audit).rawValue,
                ]
            text += cells.joined(separator: ",") + "\n"
        }
        return text
    }
}
