// Part of Inkstone. Licence: see LICENSE.

extension RunAudit {
    /// A15: the stored rates are whole counts over the sample, and equal those of the records.
    var rateResolution: AuditCheck {
        let findings = levels.compactMap { level -> AuditFinding? in
            guard let now = level.figures else { return nil }
            let stored = level.result?.figures ?? now
            var wrong: [String] = []
            if let rate = stored.errorRate.value {
                let count = rate * Double(stored.errorRate.n)
                if abs(count - count.rounded()) > 1e-6 || stored.errorRate != now.errorRate {
                    wrong.append("the error rate \(Self.percent(rate, 3)) of \(stored.errorRate.n)")
                }
            }
            if let rate = stored.throughput.value {
                let count = rate * stored.window.seconds
                if abs(count - count.rounded()) > 1e-6 * max(1, count)
                    || abs(rate - (now.throughput.value ?? -1)) > 1e-9 * max(1, rate)
                {
                    wrong.append("\(Figures.significant(rate, 4)) img/s")
                }
            }
            let step = now.resolution ?? 1
            let limit = manifest.limits.logDeviation
            return AuditFinding(
                wrong.isEmpty ? .pass : .fail, level: level.key,
                wrong.isEmpty
                    ? "1/n = \(Self.percent(step, 3))"
                        + (step > limit
                            ? ": a deviation below \(Self.percent(limit, 1)) of counts means equal counts"
                            : "")
                    : "no whole count of the records gives " + wrong.joined(separator: " and "),
                numbers: ["resolution": step, "n": Double(now.errorRate.n)])
        }
        return AuditCheck(.a15, findings, otherwise: "no level was held")
    }

    /// A20: the numbers of the headline agree with the table.
    var headline: AuditCheck {
        // A headline without figures is that of an audit that failed before.
        guard
            let headline = evidence.headline.flatMap({ $0.throughput == nil ? nil : $0 })
                ?? Headline(evidence),
            let throughput = headline.throughput, let mean = headline.meanEndToEndMs,
            let level = evidence.levels.first(where: { $0.key == headline.level }),
            let figures = level.figures
        else { return AuditCheck(.a20, [], otherwise: "no level gave a throughput") }
        var findings: [AuditFinding] = []
        func check(_ what: String, _ claimed: Double, _ actual: Double?) {
            guard let actual, actual > 0 else {
                findings.append(
                    AuditFinding(
                        .fail, level: level.key, "\(what) of the headline is not in the table."))
                return
            }
            let off = abs(claimed / actual - 1)
            findings.append(
                AuditFinding(
                    off > 0.02 ? .fail : .pass, level: level.key,
                    "\(what): headline \(Figures.significant(claimed, 4)), table "
                        + Figures.significant(actual, 4),
                    numbers: ["headline": claimed, "table": actual, "limit": 0.02]))
        }
        check("img/s", throughput, figures.throughput.value)
        check("mean E2E ms", mean, figures.endToEnd.mean.value)
        if let match = headline.text.firstMatch(of: /(\d+(?:\.\d+)?) img\/s/),
            let printed = Double(match.output.1)
        {
            check("img/s in words", printed, figures.throughput.value)
        }
        return AuditCheck(.a20, findings, otherwise: "")
    }
}
