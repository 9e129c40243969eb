// Part of Inkstone. Licence: see LICENSE.

extension ReportPlots {
    /// The requests of a level as bars: waiting, before the first preview, after it.
    ///
    /// Of a long level, the first `limit` requests of the window.
    func timeline(_ level: LevelEvidence, limit: Int = 260) -> Plot? {
        guard let window = level.figures?.window else { return nil }
        let all = level.load.filter {
            ($0.times.end ?? .max) > window.start && $0.times.send < window.end
        }
        .sorted { $0.times.send < $1.times.send }
        guard !all.isEmpty else { return nil }
        var end = window.end
        if all.count > limit { end = min(end, all[limit].times.send) }
        let shown = all.prefix(limit)
        let seconds = { (time: Int64) in
            Double(min(max(time, window.start), end) - window.start) / 1e9
        }
        var segments: [Plot.Segment] = []
        var free: [Int64] = []
        for record in shown {
            let last = record.times.end ?? end
            // In a closed loop the row of the user; otherwise the first free row.
            let row: Int
            if let user = record.user {
                row = user
            } else if let place = free.firstIndex(where: { $0 <= record.times.send }) {
                row = place
                free[place] = last
            } else {
                row = free.count
                free.append(last)
            }
            let queue = record.times.send + Int64((record.server?.queue ?? 0) * 1e9)
            let preview = record.times.previews.first ?? last
            let parts: [(Int64, Int64, Int)] =
                record.isValid
                ? [
                    (record.times.send, min(queue, preview), 7), (min(queue, preview), preview, 0),
                    (preview, last, 3),
                ] : [(record.times.send, last, 1)]
            for part in parts where seconds(part.1) > seconds(part.0) {
                segments.append(
                    Plot.Segment(
                        row: row, start: seconds(part.0), end: seconds(part.1), color: part.2))
            }
        }
        let rows = (segments.map(\.row).max() ?? 0) + 1
        let key = { (color: Int, text: String) in Plot.Layer.scatter([], color: color, label: text)
        }
        return Plot(
            title: "Requests of level \(level.key)",
            x: PlotAxis(
                "seconds of the window", around: [0, Double(end - window.start) / 1e9],
                endsAtData: true),
            y: PlotAxis(
                level.users == nil ? "row" : "user", low: Double(rows), high: 0,
                ticks: [(0.5, "1"), (Double(rows) - 0.5, "\(rows)")]),
            layers: [
                key(7, "waiting"), key(0, "before the first preview"), key(3, "after it"),
                key(1, "failed"), .segments(segments, rows: rows),
            ], width: 1140, height: max(110, min(460, 60 + 14 * Double(rows))))
    }

    /// Visits the series of all levels one after the other, with their offsets in seconds.
    ///
    /// - Returns: the total length, and a rule at the start of each level if there are few.
    private func visitSeries(_ visit: ([SeriesBin], Double) -> Void) -> (Double, [Plot.Layer]) {
        var rules: [Plot.Layer] = []
        var offset = 0.0
        for level in evidence.levels where !level.series.isEmpty {
            if evidence.levels.count <= 12 {
                rules.append(.rule(x: offset, text: level.label(in: evidence.manifest.sweep)))
            }
            visit(level.series, offset)
            offset += Double((level.series.last?.second ?? 0) + 1)
        }
        return (offset, rules)
    }

    /// A wide plot over the time of the run.
    private func overTime(
        _ title: String, _ unit: String, length: Double, values: [Double], layers: [Plot.Layer]
    ) -> Plot {
        Plot(
            title: title, x: PlotAxis("seconds of load", around: [0, length], endsAtData: true),
            y: PlotAxis(unit, around: values), layers: layers, width: 1140, height: 240)
    }

    /// The memory of the server over the run.
    var memory: Plot? {
        var host: [Plot.Point] = []
        var device: [Plot.Point] = []
        let (length, rules) = visitSeries { bins, offset in
            for bin in bins {
                let time = offset + Double(bin.second)
                if let memory = bin.hostMemory { host.append(Plot.Point(time, memory)) }
                if let memory = bin.deviceMemory, bin.deviceMemory != bin.hostMemory {
                    device.append(Plot.Point(time, memory))
                }
            }
        }
        guard host.count + device.count > 1 else { return nil }
        var layers: [Plot.Layer] = []
        if !host.isEmpty { layers.append(.step(host, color: 0, label: "server, proportional")) }
        if !device.isEmpty { layers.append(.step(device, color: 2, label: "device")) }
        return overTime(
            "Memory over time", "MiB", length: length, values: (host + device).map(\.y),
            layers: rules + layers)
    }

    /// Throughput and requests in flight over the run.
    var seconds: Plot? {
        var rate: [Plot.Point] = []
        var open: [Plot.Point] = []
        let (length, rules) = visitSeries { series, offset in
            // Means of five seconds: single seconds only show whole images.
            for start in stride(from: 0, to: series.count, by: 5) {
                let bins = series[start..<min(start + 5, series.count)]
                let count = Double(bins.count)
                let time = offset + Double(start)
                rate.append(Plot.Point(time, Double(bins.reduce(0) { $0 + $1.valid }) / count))
                open.append(Plot.Point(time, bins.reduce(0) { $0 + $1.inFlight } / count))
            }
        }
        guard rate.count > 1 else { return nil }
        return overTime(
            "Throughput and requests in flight over time", "img/s, requests", length: length,
            values: (rate + open).map(\.y),
            layers: rules + [
                .step(open, color: 6, label: "in flight"), .step(rate, color: 0, label: "img/s"),
            ])
    }

    /// The histogram of E2E of the last level.
    var histogram: Plot? {
        guard let level = evidence.levels.last(where: { $0.figures?.endToEnd.n ?? 0 >= 20 }),
            let window = level.figures?.window
        else { return nil }
        let times = level.load.filter { $0.isValid && window.contains($0.times.send) }
            .compactMap(\.endToEndMs)
        guard let low = times.min(), let high = times.max(), high > low else { return nil }
        let count = min(40, max(10, Int(Double(times.count).squareRoot())))
        var heights = [Double](repeating: 0, count: count)
        for time in times {
            heights[min(count - 1, Int((time - low) / (high - low) * Double(count)))] += 1
        }
        let edges = (0...count).map { low + (high - low) * Double($0) / Double(count) }
        return Plot(
            title: "E2E of level \(level.key)",
            x: PlotAxis("E2E ms", around: [low, high], startsAtZero: false),
            y: PlotAxis("requests", around: heights),
            layers: [.histogram(edges: edges, heights: heights, color: 0)])
    }
}
