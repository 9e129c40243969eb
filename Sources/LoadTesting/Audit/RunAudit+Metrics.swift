// Part of Inkstone. Licence: see LICENSE.

extension RunAudit {
    /// A5: the counts of the server between two quiet moments agree with those of the client.
    var engineMetrics: AuditCheck {
        let findings = levels.flatMap { level -> [AuditFinding] in
            guard let metrics = level.metrics, !level.isPartial else { return [] }
            return requests(level, metrics) + images(level, metrics) + means(level, metrics)
        }
        return AuditCheck(
            .a5, findings, otherwise: "the server's metrics were not read, or no level is complete")
    }

    /// Compares the calls by path and status.
    private func requests(_ level: LevelEvidence, _ metrics: MetricsDifference) -> [AuditFinding] {
        let name = "inkstone_requests_total"
        let calls = level.load.flatMap(\.calls).filter { $0.method == "POST" && $0.status != nil }
        return Set(calls.map(\.path)).sorted().compactMap { path in
            guard let gain = metrics.gain(name, where: ["route": path, "method": "POST"]) else {
                return nil
            }
            let here = calls.filter { $0.path == path }
            var differing: [String] = gain == Double(here.count) ? [] : ["all"]
            for (status, group) in Dictionary(grouping: here, by: { $0.status ?? 0 }) {
                let labels = ["route": path, "method": "POST", "status": "\(status)"]
                if metrics.gain(name, where: labels) ?? 0 != Double(group.count) {
                    differing.append("\(status)")
                }
            }
            return AuditFinding(
                differing.isEmpty ? .pass : .fail, level: level.key,
                "requests of \(path): client \(here.count), server \(Figures.decimals(gain, 0))"
                    + (differing.isEmpty
                        ? ""
                        : "; differing for status \(differing.sorted().joined(separator: ", "))"),
                numbers: ["client": Double(here.count), "server": gain])
        }
    }

    /// Compares the number of images.
    private func images(_ level: LevelEvidence, _ metrics: MetricsDifference) -> [AuditFinding] {
        guard let gain = metrics.gain("inkstone_images_total") else { return [] }
        // An image that was received but is not valid was generated too.
        let received = level.load.count { $0.image != nil }
        let lost = level.load.count - received
        // The image of a request that failed in transit may have been generated.
        let fits = gain >= Double(received) && gain <= Double(received + lost)
        return [
            AuditFinding(
                fits ? .pass : .fail, level: level.key,
                "images: client \(received), server \(Figures.decimals(gain, 0))"
                    + (lost > 0 ? " (\(lost) requests without an image)" : ""),
                numbers: ["client": Double(received), "server": gain, "lost": Double(lost)])
        ]
    }

    /// Compares means from `_sum / _count`; percentiles of a histogram have the resolution of its buckets.
    private func means(_ level: LevelEvidence, _ metrics: MetricsDifference) -> [AuditFinding] {
        let good = level.load.filter { $0.calls.contains { $0.end != nil } }
        var result: [AuditFinding] = []
        let calls = good.flatMap(\.calls).filter { $0.method == "POST" && $0.end != nil }
        for path in Set(calls.map(\.path)).sorted() {
            let times = calls.filter { $0.path == path }.compactMap { call in
                call.end.map { Double($0 - call.send) / 1e9 }
            }
            if let server = metrics.histogram(
                "inkstone_request_duration_seconds", where: ["route": path])
            {
                result.append(
                    compare(
                        "E2E of \(path)", times, server, level, isExact: true, slackMs: 0))
            }
        }
        if let server = metrics.histogram("inkstone_time_to_first_preview_seconds") {
            let times = level.load.compactMap { $0.firstPreviewMs.map { $0 / 1000 } }
            // The client receives the preview after encoding and sending, some ms later at every level.
            // A dialect that selects a few previews skips that of the first step, so later still.
            let isSelected = level.load.contains { record in
                record.dialect != .jobs
                    && record.parameters.partialImages + 1 < record.parameters.steps
            }
            if !times.isEmpty {
                result.append(
                    compare(
                        "TTFP", times, server, level, isExact: false, slackMs: 10,
                        mayBeLater: isSelected))
            }
        }
        if let server = metrics.histogram("inkstone_queue_time_seconds") {
            let times = level.load.compactMap { $0.server?.queue }
            if !times.isEmpty {
                result.append(
                    compare("queue", times, server, level, isExact: false, slackMs: 1))
            }
        }
        return result
    }

    private func compare(
        _ what: String, _ client: [Double], _ server: (count: Double, sum: Double),
        _ level: LevelEvidence, isExact: Bool, slackMs: Double, mayBeLater: Bool = false
    ) -> AuditFinding {
        let here = 1000 * SampleStatistics.mean(client)
        let there = server.count > 0 ? 1000 * server.sum / server.count : 0
        let deviation = there > 0 ? here / there - 1 : (here > 0 ? 1 : 0)
        let limit = manifest.limits.metricsDeviation
        let numbers = [
            "client_n": Double(client.count), "server_n": server.count, "client_mean_ms": here,
            "server_mean_ms": there, "deviation": deviation, "limit": limit, "slack_ms": slackMs,
        ]
        let text =
            "\(what): client mean \(Self.ms(here)) of \(client.count), server \(Self.ms(there)) of "
            + "\(Figures.decimals(server.count, 0)), deviation \(Self.percent(deviation, 3))"
        let countsDiffer = isExact && Double(client.count) != server.count
        if !countsDiffer, isExact, here < Self.comparableMs {
            return AuditFinding(
                .notApplicable, level: level.key,
                text + "; too short to compare", numbers: numbers)
        }
        let isClose =
            abs(deviation) < limit || abs(here - there) <= slackMs || mayBeLater && here > there
        return AuditFinding(
            countsDiffer || !isClose ? .fail : .pass, level: level.key, text, numbers: numbers)
    }

    /// A13: the work requested agrees with the work counted.
    var workLedger: AuditCheck {
        let findings = levels.flatMap { level -> [AuditFinding] in
            guard let metrics = level.metrics, !level.isPartial else { return [] }
            let received = level.load.filter { $0.image != nil }
            let lost = level.load.count - received.count
            let steps = received.reduce(0) { $0 + $1.parameters.steps }
            // An edit begins within the schedule; servers round its first step in two ways.
            let fewest = received.reduce(0) { $0 + $1.parameters.fewestSteps }
            let edits = received.count { $0.parameters.source != nil }
            let pixels = received.reduce(0) { $0 + $1.parameters.width * $1.parameters.height }
            return [
                ledger(
                    "evaluations", "inkstone_denoise_evaluations_total", steps + edits, metrics,
                    level,
                    lost, least: fewest),
                ledger("pixels", "inkstone_pixels_total", pixels, metrics, level, lost),
                tokens(received, metrics, level, lost),
            ].compactMap(\.self)
        }
        return AuditCheck(
            .a13, findings, otherwise: "the server does not count work, or no level is complete")
    }

    private func ledger(
        _ what: String, _ name: String, _ asked: Int, _ metrics: MetricsDifference,
        _ level: LevelEvidence, _ lost: Int, least: Int? = nil
    ) -> AuditFinding? {
        guard let done = metrics.gain(name) else { return nil }
        let least = least ?? asked
        // Failed requests may have been worked on; less work than delivered is never valid.
        let fits = done >= Double(least) && (lost > 0 || done <= Double(asked))
        let range = least == asked ? "\(asked)" : "\(least) to \(asked)"
        return AuditFinding(
            fits ? .pass : .fail, level: level.key,
            "\(what): asked \(range), counted \(Figures.decimals(done, 0))"
                + (lost > 0 ? " (\(lost) requests without an image)" : ""),
            numbers: ["asked": Double(asked), "counted": done, "lost": Double(lost)])
    }

    /// Checks that the tokens lie between the minimum and the maximum of the padded captions; the
    /// lengths of the prompts in tokens are known to the server only.
    private func tokens(
        _ received: [LoadRequestRecord], _ metrics: MetricsDifference, _ level: LevelEvidence,
        _ lost: Int
    ) -> AuditFinding? {
        guard model != nil, let done = metrics.gain("inkstone_denoise_tokens_total") else {
            return nil
        }
        var least = 0.0
        var most = 0.0
        for record in received {
            let request = record.parameters
            let guided: Double = request.guidance > 0 ? 2 : 1
            let passes = Double(request.fewestSteps) * guided
            let mostPasses = Double(request.steps + (request.source == nil ? 0 : 1)) * guided
            let image = Double(
                WorkModel.imageTokens(width: request.width, height: request.height))
            least += passes * (image + 32)
            most += mostPasses * (image + 512)
        }
        let fits = done >= least && (lost > 0 || done <= most)
        return AuditFinding(
            fits ? .pass : .fail, level: level.key,
            "tokens: \(Figures.grouped(done)) counted, between \(Figures.grouped(least)) and "
                + "\(Figures.grouped(most)) expected",
            numbers: ["counted": done, "least": least, "most": most])
    }

    /// A14: a device is not busy for longer than the time that passed.
    var deviceTime: AuditCheck {
        let name = "inkstone_engine_busy_seconds_total"
        let findings = levels.flatMap { level -> [AuditFinding] in
            guard let metrics = level.metrics, let result = level.result,
                let start = result.phases[Phase.settle.rawValue]?.start,
                let end = (result.phases[Phase.drain.rawValue] ?? result.held)?.end, end > start
            else { return [] }
            let length = Double(end - start) / 1e9
            return metrics.after.values(of: "device", in: name).sorted().compactMap { device in
                guard let busy = metrics.gain(name, where: ["device": device]) else { return nil }
                let share = busy / length
                return AuditFinding(
                    share > 1.01 ? .fail : .pass, level: level.key,
                    "device \(device) was busy \(Figures.decimals(busy, 2)) s of \(Figures.decimals(length, 2)) s",
                    numbers: ["busy_s": busy, "window_s": length, "share": share, "limit": 1.01])
            }
        }
        return AuditCheck(.a14, findings, otherwise: "the server does not report device time")
    }
}
