// Part of Inkstone. Licence: see LICENSE.

extension RunAudit {
    /// A1: the time integral of the open requests equals the sum of their durations.
    var littlesLaw: AuditCheck {
        let findings = levels.flatMap { level -> [AuditFinding] in
            guard let figures = level.figures else { return [] }
            return [identity(level, figures), residual(level, figures)].compactMap(\.self)
                + overlaps(level)
        }
        return AuditCheck(.a1, findings, otherwise: "no level was held")
    }

    /// Compares the step function, the durations and the stored series.
    private func identity(_ level: LevelEvidence, _ figures: LevelFigures) -> AuditFinding {
        let window = figures.window
        let load = level.load
        let horizon = max(window.end, load.compactMap(\.times.end).max() ?? window.end)
        let open = OpenRequests(load.map { ($0.times.send, $0.times.end) }, horizon: horizon)
        let integral = open.integral(window)
        let durations = load.reduce(0.0) { sum, record in
            let end = min(record.times.end ?? horizon, window.end)
            let start = max(record.times.send, window.start)
            // Not clamped to zero: a clock that runs backwards must show.
            let isOutside = record.times.send >= window.end || end <= window.start
            return isOutside && end >= record.times.send ? sum : sum + Double(end - start) / 1e9
        }
        var off = integral > 0 ? abs(durations / integral - 1) : abs(durations)
        var numbers = ["integral": integral, "durations": durations, "limit": 0.001]
        if let settle = level.result?.phases[Phase.settle.rawValue]?.start {
            let bins = level.series.filter { bin in
                let start = settle + Int64(bin.second) * 1_000_000_000
                return start >= window.start && start + 1_000_000_000 <= window.end
            }
            if let first = bins.first, let last = bins.last,
                bins.count == last.second - first.second + 1
            {
                let range = TimeRange(
                    start: settle + Int64(first.second) * 1_000_000_000,
                    end: settle + Int64(last.second + 1) * 1_000_000_000)
                let series = bins.reduce(0) { $0 + $1.inFlight }
                let exact = open.integral(range)
                if exact > 0 {
                    off = max(off, abs(series / exact - 1))
                    numbers["series"] = series
                    numbers["series_exact"] = exact
                }
            }
        }
        numbers["off"] = off
        return AuditFinding(
            off > 0.001 ? .fail : .pass, level: level.key,
            "\(Figures.significant(integral, 5)) request-seconds in flight, durations sum to "
                + "\(Figures.significant(durations, 5)): off by \(Self.percent(off, 3))",
            numbers: numbers)
    }

    /// Compares X R with the requests in flight; only the edges of the window may differ.
    private func residual(_ level: LevelEvidence, _ figures: LevelFigures) -> AuditFinding? {
        guard let residual = figures.littleResidual, figures.endToEndCompleted.n >= 10 else {
            return nil
        }
        let longest = (figures.endToEnd.max ?? 0) / 1000
        let edge = figures.window.seconds > 0 ? longest / figures.window.seconds : 1
        let limit = max(0.03, edge)
        return AuditFinding(
            abs(residual) > limit ? .warn : .pass, level: level.key,
            "X R deviates by \(Self.percent(residual)) from the \(Figures.decimals(figures.inFlight, 2)) "
                + "in flight (edges allow \(Self.percent(edge, 1)))",
            numbers: ["residual": residual, "in_flight": figures.inFlight, "limit": limit])
    }

    /// A user of a closed loop has one open request, never two.
    private func overlaps(_ level: LevelEvidence) -> [AuditFinding] {
        guard level.users != nil else { return [] }
        var count = 0
        for (_, records) in Dictionary(grouping: level.load.filter { $0.user != nil }, by: \.user) {
            let sorted = records.sorted { $0.times.send < $1.times.send }
            for (first, second) in zip(sorted, sorted.dropFirst())
            where second.times.send < first.times.end ?? .max { count += 1 }
        }
        guard count > 0 else { return [] }
        return [
            AuditFinding(
                .fail, level: level.key,
                "\(count) requests were sent while their user still waited for another.",
                numbers: ["overlaps": Double(count)])
        ]
    }

    /// A2: requests are not served faster under load than alone.
    var asymptoticBound: AuditCheck {
        let closed = evidence.closed
        guard let first = closed.first, first.users == 1,
            let alone = first.figures.endToEndCompleted.value, alone > 0
        else { return AuditCheck(.a2, [], otherwise: "no closed level of one user") }
        var findings = closed.compactMap { users, level, figures -> AuditFinding? in
            guard let rate = figures.throughput.value else { return nil }
            let bound = Double(users) / (alone / 1000)
            return AuditFinding(
                rate > 1.1 * bound ? .fail : .pass, level: level.key,
                "X = \(Figures.significant(rate, 4)) img/s, N/R(1) = \(Figures.significant(bound, 4))",
                numbers: ["x": rate, "bound": bound, "ratio": rate / bound, "limit": 1.1])
        }
        let points = closed.compactMap { users, _, figures in
            figures.throughput.value.map {
                LoadPoint(
                    users: users, throughput: $0,
                    endToEnd: (figures.endToEndCompleted.value ?? 0) / 1000)
            }
        }
        if let knee = KneeMethods.kneedle(points).users,
            let crossing = KneeMethods.asymptoticCrossing(points), crossing > 0
        {
            let off = max(crossing / Double(knee), Double(knee) / crossing)
            findings.append(
                AuditFinding(
                    off > 3 ? .fail : .pass,
                    "R(1) X_max = \(Figures.decimals(crossing, 1)) users, the knee of the curve is at \(knee)",
                    numbers: ["n_star": crossing, "knee": Double(knee), "off": off, "limit": 3]))
        }
        return AuditCheck(.a2, findings, otherwise: "no throughput")
    }

    /// A9: the tester sent requests as scheduled, and all of them.
    var coordinatedOmission: AuditCheck {
        let findings = levels.flatMap { level -> [AuditFinding] in
            guard let figures = level.figures else { return [] }
            var result: [AuditFinding] = []
            let lags = level.load.filter { figures.window.contains($0.times.send) }
                .map { Double($0.times.send - $0.times.planned) / 1e6 }.sorted()
            if let lag = Percentile.value(0.99, ofSorted: lags),
                let mean = figures.endToEnd.mean.value, mean > 0
            {
                result.append(
                    AuditFinding(
                        lag > 0.01 * mean ? .fail : .pass, level: level.key,
                        "schedule lag p99 \(Self.ms(lag)), limit 1 % of the mean E2E "
                            + Self.ms(0.01 * mean),
                        numbers: [
                            "lag_p99_ms": lag, "limit_ms": 0.01 * mean, "n": Double(lags.count),
                        ]
                    ))
            }
            let dropped = level.result?.accounting.dropped ?? 0
            if dropped > 0 {
                result.append(
                    AuditFinding(
                        .fail, level: level.key,
                        "\(dropped) planned requests were not sent, because too many were in flight.",
                        numbers: ["dropped": Double(dropped)]))
            }
            if let users = level.users {
                let share = figures.inFlight / Double(users)
                result.append(
                    AuditFinding(
                        share < 0.98 ? .fail : .pass, level: level.key,
                        "\(Figures.decimals(figures.inFlight, 3)) in flight of \(users) users; each was "
                            + "idle \(Self.percent(max(0, 1 - share))) of the time",
                        numbers: ["in_flight": figures.inFlight, "share": share, "limit": 0.98]))
            }
            return result
        }
        return AuditCheck(.a9, findings, otherwise: "no level was held")
    }

    /// A16: no preview is received before its request's first step has ended on the server.
    var stageLaw: AuditCheck {
        let findings = levels.compactMap { level -> AuditFinding? in
            let pairs = level.load.compactMap { record -> Double? in
                guard let preview = record.firstPreviewMs, let server = record.server,
                    let step = server.steps?.first
                else { return nil }
                return preview - 1000 * ((server.queue ?? 0) + (server.text ?? 0) + step)
            }
            guard let least = pairs.min() else { return nil }
            // The resolution of both clocks is a millisecond or better.
            let early = pairs.count { $0 < -1 }
            return AuditFinding(
                early > 0 ? .fail : .pass, level: level.key,
                early > 0
                    ? "\(early) of \(pairs.count) first previews came before the end of the first step, "
                        + "by up to \(Self.ms(-least))"
                    : "all \(pairs.count) first previews came after the first step, by \(Self.ms(max(0, least))) or more",
                numbers: ["early": Double(early), "least_ms": least, "n": Double(pairs.count)])
        }
        return AuditCheck(
            .a16, findings,
            otherwise: "no previews, or the server does not report the times of its steps")
    }
}
