// Part of Inkstone. Licence: see LICENSE.

/// The plots of a run.
struct ReportPlots: Sendable {
    let evidence: RunEvidence
    let knee: KneeAnalysis?

    private var closed: [(users: Int, level: LevelEvidence, figures: LevelFigures)] {
        evidence.closed
    }

    /// An axis of users with a tick at every level, as far as there is space.
    private var usersAxis: PlotAxis {
        let users = closed.map(\.users)
        let high = Double(users.max() ?? 1) * 1.04
        var shown: [Int] = []
        for count in users.reversed()
        where shown.last.map({ Double($0 - count) > 0.04 * high }) ?? true {
            shown.append(count)
        }
        return PlotAxis(
            "users", low: 0, high: high, ticks: shown.reversed().map { (Double($0), "\($0)") })
    }

    private var kneeRule: [Plot.Layer] {
        knee?.knee.map { [.rule(x: Double($0), text: "knee at \($0)")] } ?? []
    }

    /// Throughput by users with its bounds, the fitted law and the knee.
    var throughput: Plot? {
        guard closed.count >= 2 else { return nil }
        let measured = closed.compactMap { users, _, figures in
            figures.throughput.value.map { Plot.Point(Double(users), $0) }
        }
        let intervals = closed.compactMap {
            users, _, figures -> (x: Double, low: Double, high: Double)? in
            guard let low = figures.throughput.low, let high = figures.throughput.high else {
                return nil
            }
            return (Double(users), low, high)
        }
        let most = measured.map(\.y).max() ?? 1
        let last = Double(closed.last?.users ?? 1)
        var layers: [Plot.Layer] = []
        if let first = closed.first, first.users == 1,
            let alone = first.figures.endToEndCompleted.value, alone > 0
        {
            // Up to where the bound leaves the plot.
            let end = min(last, 1.15 * most * alone / 1000)
            layers.append(
                .line(
                    [Plot.Point(0, 0), Plot.Point(end, end * 1000 / alone)], color: 5,
                    isDashed: true, label: "Little's bound N/R(1)"))
        }
        layers.append(
            .line(
                [Plot.Point(0, most), Plot.Point(last, most)], color: 6, isDashed: true,
                label: "highest measured"))
        if let fit = knee?.scalability, fit.refusal == nil {
            let curve = (0...80).map { index in
                let users = 1 + (last - 1) * Double(index) / 80
                return Plot.Point(users, fit.throughput(users))
            }
            layers.append(.line(curve, color: 2, isDashed: true, label: "scalability law"))
        }
        layers += [
            .line(measured, color: 0, isDashed: false, label: "measured"),
            .intervals(intervals, color: 0), .scatter(measured, color: 0, label: nil),
        ]
        return Plot(
            title: "Throughput by users", x: usersAxis,
            y: PlotAxis("img/s", around: [0, most * 1.15]), layers: layers + kneeRule)
    }

    /// Times by users.
    var latency: Plot? {
        guard closed.count >= 2 else { return nil }
        func points(_ value: (LevelFigures) -> Double?) -> [Plot.Point] {
            closed.compactMap { users, _, figures in
                value(figures).map { Plot.Point(Double(users), $0) }
            }
        }
        let mean = points { $0.endToEnd.mean.value }
        let tail = points { $0.endToEnd.p95.value }
        let preview = points { $0.firstPreview.p50.value }
        let intervals = closed.compactMap {
            users, _, figures -> (x: Double, low: Double, high: Double)? in
            guard let low = figures.endToEnd.mean.low, let high = figures.endToEnd.mean.high else {
                return nil
            }
            return (Double(users), low, high)
        }
        var layers: [Plot.Layer] = [
            .line(mean, color: 0, isDashed: false, label: "E2E mean"),
            .intervals(intervals, color: 0), .scatter(mean, color: 0, label: nil),
        ]
        if !tail.isEmpty {
            layers += [
                .line(tail, color: 1, isDashed: false, label: "E2E p95"),
                .scatter(tail, color: 1, label: nil),
            ]
        }
        if !preview.isEmpty {
            layers += [
                .line(preview, color: 3, isDashed: false, label: "TTFP p50"),
                .scatter(preview, color: 3, label: nil),
            ]
        }
        return Plot(
            title: "Times by users", x: usersAxis,
            y: PlotAxis("ms", around: (mean + tail + preview).map(\.y)), layers: layers + kneeRule)
    }

    /// Mean E2E by throughput.
    var tradeOff: Plot? {
        guard closed.count >= 3 else { return nil }
        let points = closed.compactMap { _, _, figures -> Plot.Point? in
            guard let rate = figures.throughput.value, let mean = figures.endToEnd.mean.value else {
                return nil
            }
            return Plot.Point(rate, mean)
        }
        var layers: [Plot.Layer] = [
            .line(points, color: 0, isDashed: false, label: nil),
            .scatter(points, color: 0, label: nil),
        ]
        if let knee = knee?.knee, let at = closed.first(where: { $0.users == knee }),
            let rate = at.figures.throughput.value
        {
            layers.append(.rule(x: rate, text: "knee, \(knee) users"))
        }
        return Plot(
            title: "Mean E2E by throughput", x: PlotAxis("img/s", around: points.map(\.x)),
            y: PlotAxis("mean E2E ms", around: points.map(\.y)), layers: layers)
    }

    /// The percentile curve of every level, stretched towards the tail.
    var spectrum: Plot? {
        var layers: [Plot.Layer] = []
        var times: [Double] = []
        var deepest = 10.0
        let levels = evidence.levels.filter { $0.figures?.endToEnd.n ?? 0 >= 10 }.prefix(8)
        for (index, level) in levels.enumerated() {
            guard let window = level.figures?.window else { continue }
            let histogram = LatencyHistogram(
                seconds: level.load.filter { $0.isValid && window.contains($0.times.send) }
                    .compactMap(\.endToEndMs).map { $0 / 1000 })
            // The last of n samples is the percentile 1 - 1/n; there are no data beyond it.
            let points = histogram.spectrum().filter {
                $0.share < 1 - 0.5 / Double(histogram.count)
            }
            .map { Plot.Point(1 / (1 - $0.share), 1000 * $0.seconds) }
            deepest = max(deepest, points.last?.x ?? 10)
            times += points.map(\.y)
            let name = level.label(in: evidence.manifest.sweep)
            layers.append(
                .line(
                    points, color: index, isDashed: false,
                    label: level.users != nil && evidence.manifest.sweep == .concurrency
                        ? "\(name) user\(name == "1" ? "" : "s")" : name))
        }
        guard !times.isEmpty else { return nil }
        let marks = [
            (1.0, "0 %"), (2, "50 %"), (10, "90 %"), (100, "99 %"), (1000, "99.9 %"),
            (1e4, "99.99 %"),
        ]
        return Plot(
            title: "E2E by percentile",
            x: PlotAxis(
                "share of requests that were not slower", low: 1, high: deepest * 1.05,
                ticks: marks.filter { $0.0 <= deepest }.map { (value: $0.0, text: $0.1) },
                scale: .logarithmic),
            y: PlotAxis("E2E ms", around: times), layers: layers)
    }

    /// A box plot of E2E for each level.
    var boxes: Plot? {
        let boxes = evidence.levels.enumerated().compactMap { index, level -> Plot.Box? in
            guard let window = level.figures?.window else { return nil }
            let times = level.load.filter { $0.isValid && window.contains($0.times.send) }
                .compactMap(\.endToEndMs).sorted()
            guard times.count >= 5, let low = times.first, let high = times.last else { return nil }
            let at = { (p: Double) in Percentile.value(p, ofSorted: times) ?? low }
            return Plot.Box(
                x: Double(index), low: low, lowerQuarter: at(0.25), median: at(0.5),
                upperQuarter: at(0.75), high: high)
        }
        guard boxes.count >= 2 else { return nil }
        let ticks = evidence.levels.enumerated().map { index, level in
            (value: Double(index), text: level.label(in: evidence.manifest.sweep))
        }
        return Plot(
            title: "Distribution of E2E",
            x: PlotAxis(
                LevelTable(evidence, audit: AuditReport(subject: "", checks: [])).subject,
                low: -0.6,
                high: Double(evidence.levels.count) - 0.4, ticks: ticks),
            y: PlotAxis("E2E ms", around: boxes.map(\.high)), layers: [.boxes(boxes, color: 0)])
    }
}
