// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension TableAudit {
    /// A15: a printed share must be k / n for a whole number k.
    var rateResolution: AuditCheck {
        guard let hold else {
            return AuditCheck(.a15, [], otherwise: "the hold of the levels is unknown")
        }
        var findings: [AuditFinding] = []
        for row in table.rows {
            guard let errors = row.errors, let n = imagesAtBound(row), n > 0 else { continue }
            let hit = Self.counts(errors, of: n) ?? countsNear(row, errors, n)
            let unit = 100 / Double(n)
            var text =
                "\(n) images in \(Figures.decimals(hold, 0)) s at the bound, one failure is "
                + "\(Figures.significant(unit, 2)) %; \(Self.printed(errors)) % "
            if let hit {
                text += "is \(Self.range(hit)) of \(n)"
            } else {
                text += "is unreachable"
                let many = Int((row.throughput.value * hold).rounded())
                if let other = Self.counts(errors, of: many) {
                    text +=
                        " (0 is 0.0, 1 is \(Figures.decimals(unit, errors.decimals))); of the table's own "
                        + "\(many) it is \(Self.range(other))"
                }
            }
            findings.append(
                AuditFinding(
                    hit == nil ? .fail : .pass, level: Self.level(row), text + ".",
                    numbers: ["n": Double(n), "step_percent": unit, "printed": errors.value]))
        }
        if let deviation = table.claimedDeviation, let first = table.rows.first,
            let n = imagesAtBound(first), n > 0
        {
            let step = 1 / Double(n)
            findings.append(
                AuditFinding(
                    step > deviation ? .warn : .pass, level: Self.level(first),
                    "A deviation below \(Figures.significant(100 * deviation, 2)) % is claimed; of \(n) images "
                        + "one is \(Figures.decimals(100 * step, 1)) %"
                        + (step > deviation ? ", so only equal counts can meet it." : "."),
                    numbers: ["step": step, "claimed": deviation]))
        }
        return AuditCheck(.a15, findings, otherwise: "the table has no error rates")
    }

    /// The counts that give a printed share, if the number of requests is only about `n`.
    ///
    /// Hold and latency are rounded in a table, and failed requests are part of the number.
    private func countsNear(
        _ row: Row, _ errors: PublishedTable.Printed, _ n: Int
    ) -> ClosedRange<Int>? {
        guard let hold else { return nil }
        let images = row.throughput.value * hold
        let bound = Double(n)
        // The table's own count serves only when its users could have sent that many.
        let least = 0.97 * (images <= 1.1 * bound ? min(images, bound) : bound)
        for count in max(1, Int(least))...max(n + 2, Int(1.04 * bound)) {
            if let found = Self.counts(errors, of: count) { return found }
        }
        return nil
    }

    /// The whole numbers k up to `n` for which k / n is printed as this percentage.
    static func counts(
        _ percent: PublishedTable.Printed, of n: Int
    ) -> ClosedRange<Int>? {
        let text = printed(percent)
        let about = percent.value / 100 * Double(n)
        let width = 0.5 * pow(10, -Double(percent.decimals)) / 100 * Double(n)
        let fitting = (max(0, Int(about - width) - 1)...max(0, Int(about + width) + 1)).filter {
            $0 <= n
                && Figures.decimals(100 * Double($0) / Double(n), percent.decimals) == text
        }
        guard let least = fitting.first, let most = fitting.last else { return nil }
        return least...most
    }

    private static func printed(_ number: PublishedTable.Printed) -> String {
        Figures.decimals(number.value, number.decimals)
    }

    private static func range(_ counts: ClosedRange<Int>) -> String {
        counts.count == 1 ? "\(counts.lowerBound)" : "\(counts.lowerBound)-\(counts.upperBound)"
    }

    /// A20: a headline must be in the table or follow from it.
    var titleAgainstTable: AuditCheck {
        let findings: [AuditFinding] = table.claims.map { claim in
            let value = claim.value
            let printed = table.rows.map(\.throughput.value)
            let nearest = printed.map { abs($0 / value - 1) }.min() ?? .infinity
            let isThere =
                nearest <= 0.02
                || printed.contains { abs($0 - value) <= claim.rounding * 1.0001 }
            let high = bestThroughput / value
            var text = "\"\(claim.text.trimmingCharacters(in: .whitespaces))\" "
            text += isThere ? "is in the table" : "is nowhere in the table"
            var numbers = [
                "claimed": value, "deviation": abs(bestThroughput / value - 1), "limit": 0.02,
            ]
            if !isThere {
                text += ": " + Self.sides(high, of: bestThroughput)
                text +=
                    "; the best row deviates by \(Figures.decimals(100 * abs(high - 1), 0)) %"
                if let last = table.rows.max(by: { bound($0) < bound($1) }) {
                    let over = value / bound(last) - 1
                    let slack = hold.map { last.endToEnd / $0 } ?? 0
                    if over > 0 {
                        text +=
                            "; \(Figures.decimals(100 * over, 1)) % above the bound "
                            + Figures.decimals(bound(last), 2)
                        text +=
                            over > slack && slack > 0
                            ? ", beyond the \(Figures.decimals(100 * slack, 1)) % edge slack" : ""
                        numbers["above_bound"] = over
                        text +=
                            "; it would need R = "
                            + "\(Self.ms(Double(last.users) / value)) ms at N = \(last.users)"
                    }
                }
                if let factor = commonFactor {
                    let other = bestThroughput / factor.rounded()
                    let off = value / other - 1
                    text +=
                        "; \(Figures.decimals(100 * abs(off), 1)) % \(off > 0 ? "above" : "below") "
                        + "\(Figures.significant(bestThroughput, 3))/\(Figures.decimals(factor.rounded(), 0))"
                }
                text += ". Title and table cannot both come from one run"
            }
            return AuditFinding(isThere ? .pass : .fail, text + ".", numbers: numbers)
        }
        return AuditCheck(
            .a20, findings + limitFindings, otherwise: "no number is claimed in the title")
    }

    /// The limits of the text against the largest value of their column.
    private var limitFindings: [AuditFinding] {
        table.limits.compactMap { claim in
            let values: [(Row, Double)] = table.rows.compactMap { row in
                switch claim.meaning {
                case .firstPreview: row.firstPreview.map { (row, $0) }
                case .errors: row.errors.map { (row, $0.value) }
                default: (row, row.endToEnd)
                }
            }
            guard let (row, most) = values.max(by: { $0.1 < $1.1 }), claim.limit > 0 else {
                return nil
            }
            let over = most / claim.limit - 1
            let isRate = claim.meaning == .errors
            let value = isRate ? "\(Figures.significant(most, 2)) %" : "\(Self.ms(most)) ms"
            return AuditFinding(
                over > 0.02 ? .fail : over > 0 ? .warn : .pass, level: Self.level(row),
                "\"\(claim.text)\": the table has at most \(value)"
                    + (over > 0
                        ? ", \(Figures.decimals(100 * over, 1)) % more." : "."),
                numbers: ["claimed": claim.limit, "most": most, "limit": 0.02])
        }
    }

    private static func sides(_ ratio: Double, of best: Double) -> String {
        ratio > 1
            ? "\(Figures.decimals(ratio, 1))x below the table's \(Figures.significant(best, 3))"
            : "\(Figures.decimals(1 / ratio, 1))x above the table's \(Figures.significant(best, 3))"
    }

    /// The facts that a reader needs and that the table does not have.
    var missing: [String] {
        let titles = table.columns.joined(separator: " ").lowercased()
        let has = { (words: [String]) in words.contains { titles.contains($0) } }
        var result: [String] = []
        if !has(["p50", "p90", "p95", "p99", "median"]) {
            result.append("percentiles (only means)")
        }
        if !has(["±", "ci", "interval", "95 %"]) { result.append("intervals") }
        if !has(["samples", "count", "images"]) { result.append("sample counts") }
        if device == nil { result.append("device") }
        if size == nil { result.append("size") }
        if !has(["steps"]) { result.append("steps") }
        if !has(["warm"]) { result.append("warm-up") }
        if !has(["timeout", "5xx", "class"]) { result.append("error classes") }
        let levels = missingLevels
        if !levels.isEmpty {
            result.append("levels \(levels.map(String.init).joined(separator: " and "))")
        }
        return result
    }

    /// The doublings up to the highest level, and three quarters of it, that the table does not have.
    private var missingLevels: [Int] {
        guard let last = table.rows.last?.users, last >= 4 else { return [] }
        var wanted: [Int] = []
        var users = 1
        while users < last {
            wanted.append(users)
            users *= 2
        }
        wanted.append(last * 3 / 4)
        return wanted.filter { users in !table.rows.contains { $0.users == users } }.sorted()
    }
}
