// Part of Inkstone. Licence: see LICENSE.

extension TableAudit {
    /// A1: X R, the number in flight, cannot exceed the users.
    var littlesLaw: AuditCheck {
        var findings = table.rows.map { row in
            let inFlight = row.throughput.value * row.endToEnd
            let ratio = inFlight / Double(row.users)
            let slack = hold.map { row.endToEnd / $0 }
            let limits = littleLimits(row)
            let verdict: Verdict =
                !limits.overlaps(littleRange(row))
                ? .fail : ratio > 1.03 || ratio < 0.90 ? .warn : .pass
            var numbers = [
                "x_times_r": inFlight, "bound": bound(row), "x_over_bound": ratio,
                "users": Double(row.users), "limit_high": limits.upperBound,
                "limit_low": limits.lowerBound,
            ]
            numbers["edge_slack"] = slack
            return AuditFinding(
                verdict, level: Self.level(row),
                "X R = \(Figures.significant(inFlight, inFlight < 100 ? 3 : 4)) in flight of "
                    + "\(row.users); at most N/R = \(Figures.decimals(bound(row), 3)) img/s, the table has "
                    + "\(Figures.decimals(ratio, 2))x that"
                    + (slack.map { " (edge slack \(Figures.decimals(100 * $0, 1)) %)" } ?? "")
                    + (table.hasMedians ? "; medians stand for the means" : ""),
                numbers: numbers)
        }
        if let factor = commonFactor { findings += readings(of: factor) }
        return AuditCheck(.a1, findings, otherwise: "no levels")
    }

    /// The limits of X R / N.
    ///
    /// A median can be far from the mean. Failed requests occupy users as well, and are not part of a
    /// throughput of images.
    func littleLimits(_ row: Row) -> ClosedRange<Double> {
        if table.hasMedians { return 0.5...2 }
        let failed = min(max(row.errors?.value ?? 0, 0), 100) / 100
        return 0.90 * (1 - failed)...1.10
    }

    /// X R / N between the roundings of X and R.
    func littleRange(_ row: Row) -> ClosedRange<Double> {
        let ratio = { (sign: Double) in
            max(0, row.throughput.value + sign * row.throughput.rounding)
                * (row.endToEnd + sign * row.endToEndRounding) / Double(row.users)
        }
        return ratio(-1)...ratio(1)
    }

    /// Lists the explanations of a factor that all rows share; none is preferred.
    private func readings(of factor: Double) -> [AuditFinding] {
        let ratios = table.rows.map { $0.throughput.value / bound($0) }
        let range =
            "\(Figures.decimals(ratios.min() ?? 0, 1))-\(Figures.decimals(ratios.max() ?? 0, 1))"
        let inverse = Figures.significant(1 / factor, 3)
        let bounds = table.rows.map { Figures.decimals(bound($0), 2) }.joined(separator: ", ")
        let isSmall = factor < 1
        let whole = (isSmall ? 1 / factor : factor).rounded()
        let users = table.rows.map { "\(Int(whole) * $0.users)" }.joined(separator: ", ")
        var result = [
            AuditFinding(
                .fail,
                "The factor is \(isSmall ? "1/" : "")\(isSmall ? inverse : range) on every row: that is not noise, two columns disagree by "
                    + "\(Figures.significant(whole, 2)).", numbers: ["factor": factor]),
            AuditFinding(
                .fail,
                "Reading (a): the throughput column is \(Figures.significant(whole, 2)) times too "
                    + (isSmall ? "small" : "big")
                    + ", a slip of the decimal point or the unit; it would be at most \(bounds)."
            ),
        ]
        if whole >= 2, !isSmall {
            let events =
                Int(whole) == steps + 2
                ? " (\(steps) previews, a start and an end)" : ""
            result.append(
                AuditFinding(
                    .fail,
                    "Reading (b): it counts events, not images, \(Int(whole)) to a request\(events)."
                ))
            result.append(
                AuditFinding(
                    .fail,
                    "Reading (c): the users are those of one worker and \(Int(whole)) workers ran: "
                        + "\(users) were in flight."))
        }
        return result
    }

    /// A2: requests are not served faster under load than alone, and the knee is where the bounds cross.
    var asymptoticBound: AuditCheck {
        guard let first = table.rows.first, first.users == 1, !table.isMixed else {
            return AuditCheck(
                .a2, [],
                otherwise: table.isMixed ? Self.mixed : "the table has no level of one user")
        }
        var findings = table.rows.map { row in
            let limit = Double(row.users) / first.endToEnd
            let ratio = row.throughput.value / limit
            let least =
                max(0, row.throughput.value - row.throughput.rounding)
                * (first.endToEnd - first.endToEndRounding) / Double(row.users)
            return AuditFinding(
                least > 1.1 ? .fail : .pass, level: Self.level(row),
                "X is \(Figures.decimals(ratio, 2))x of N/R(1) = \(Figures.decimals(limit, 3)) img/s",
                numbers: ["x_over_bound": ratio, "bound": limit, "limit": 1.1])
        }
        let points = table.rows.map {
            LoadPoint(
                users: $0.users, throughput: $0.throughput.value, endToEnd: $0.endToEnd)
        }
        // The bend of a curve that hardly rises is noise.
        if let knee = KneeMethods.kneedle(points).users,
            bestThroughput > 1.5 * first.throughput.value,
            let next = table.rows.first(where: { $0.users > knee })?.users
        {
            let middle = Double(knee + next) / 2
            findings.append(bend(first, from: knee, to: next, middle: middle))
        }
        return AuditCheck(.a2, findings, otherwise: "no levels")
    }

    private func bend(_ first: Row, from knee: Int, to next: Int, middle: Double) -> AuditFinding {
        let crossing = first.endToEnd * bestThroughput
        let off = max(crossing / middle, middle / crossing)
        var text =
            "R(1) X_max = \(Figures.decimals(crossing, 0)) users, but the curve bends between \(knee) "
            + "and \(next): off by \(Figures.decimals(off, 1))x"
        var numbers = ["n_star": crossing, "bend": middle, "off": off, "limit": 3]
        if let factor = commonFactor {
            let corrected = first.endToEnd * bestBound
            let times = Int(factor.rounded())
            text +=
                "; with X at its bound N/R it is \(Figures.decimals(corrected, 1)), which fits the "
                + "bend, and with \(times) times the users \(Figures.decimals(crossing, 0)) against "
                + "\(times * knee)-\(times * next) fits too"
            numbers["n_star_at_bound"] = corrected
        }
        // The bend is anywhere between the two levels.
        let nearest = min(max(crossing, Double(knee)), Double(next))
        let isFar = max(crossing / nearest, nearest / crossing) > 3
        return AuditFinding(isFar ? .fail : .pass, text + ".", numbers: numbers)
    }

    /// A16: sharing a device delays the time before the first preview as much as the time after it.
    var stageLaw: AuditCheck {
        guard !table.isMixed, let first = table.rows.first, let last = table.rows.last,
            first.users < last.users, let early = first.firstPreview, let late = last.firstPreview
        else {
            return AuditCheck(.a16, [], otherwise: "the table has no times to the first preview")
        }
        let rise = late / early - 1
        let rest = (first.endToEnd - early, last.endToEnd - late)
        guard rest.0 > 0, rest.1 > 0 else {
            return AuditCheck(
                .a16,
                [AuditFinding(.fail, "A first preview comes after the end of its request.")],
                otherwise: "")
        }
        let growth = rest.1 / rest.0
        let shares = (early / first.endToEnd, late / last.endToEnd)
        let rate = min(last.throughput.value, bound(last))
        let isFlat = rise < 0.10 && growth > 2
        let after = shares.0 * Double(steps)
        var text =
            "TTFP rises by \(Figures.decimals(100 * rise, 1)) % (\(Self.ms(early)) to \(Self.ms(late)) ms) "
            + "while the rest of a request goes from \(Self.ms(rest.0)) to \(Self.ms(rest.1)) ms "
            + "(\(Figures.decimals(growth, 1))x). At N=\(last.users) and \(Figures.decimals(rate, 2)) img/s "
            + "\(Figures.decimals(rate * late, 1)) requests are before their first preview and "
            + "\(Figures.decimals(rate * rest.1, 1)) after it. TTFP/E2E goes from "
            + "\(Figures.decimals(shares.0, 2)) to \(Figures.decimals(shares.1, 2)): of \(steps) equal steps "
            + "the first preview sits after step \(Int(after)) or \(Int(after) + 1) at N=\(first.users) and "
            + "before step \(Int((shares.1 * Double(steps)).rounded(.up))) at N=\(last.users)"
        text +=
            isFlat
            ? ". The preview is on a timer, or another device computes it, or the column was not "
                + "measured; a scheduler that serves first frames first may do it honestly." : "."
        return AuditCheck(
            .a16,
            [
                AuditFinding(
                    isFlat ? .warn : .pass, text,
                    numbers: [
                        "ttfp_rise": rise, "rest_growth": growth, "before": rate * late,
                        "after": rate * rest.1, "share_first": shares.0, "share_last": shares.1,
                        "limit_rise": 0.10, "limit_growth": 2,
                    ])
            ], otherwise: "")
    }

    static func ms(_ seconds: Double) -> String { Figures.decimals(1000 * seconds, 0) }
}
