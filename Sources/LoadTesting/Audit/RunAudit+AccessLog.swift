// Part of Inkstone. Licence: see LICENSE.

extension RunAudit {
    /// A call of the client and the line of the server's log with the same id.
    struct Pair {
        let call: WireCall
        let line: AccessLogLine
        /// Client minus server, in ms.
        var difference: Double? {
            call.end.map { Double($0 - call.send) / 1e6 - 1000 * line.requestSeconds }
        }
    }

    /// Joins the calls of a level with the log by id.
    static func join(
        _ level: LevelEvidence, _ log: [AccessLogLine], where isWanted: (LoadRequestRecord) -> Bool
    ) -> [Pair] {
        let lines = Dictionary(log.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        return level.records.filter(isWanted).flatMap(\.calls).compactMap { call in
            lines[call.id].map { Pair(call: call, line: $0) }
        }
    }

    /// A3: each call has one line in the log, and each line a call.
    var logCounts: AuditCheck {
        let findings = everything.compactMap { level -> AuditFinding? in
            guard let log = level.log else { return nil }
            return counts(level, log)
        }
        return AuditCheck(.a3, findings, otherwise: noLog)
    }

    private var noLog: String {
        "the server's access log was not read (target.access_log in the scenario)"
    }

    private func counts(_ level: LevelEvidence, _ log: [AccessLogLine]) -> AuditFinding {
        // A call without a connection leaves no line.
        let calls = level.records.flatMap { record in
            record.error == .connect || record.error == .tls || record.error == .timeoutConnect
                ? [] : record.calls
        }
        let suffix = "-\(level.visit.level)-r\(level.visit.visit)-"
        let prefixes = manifest.runNames.map { $0 + suffix }
        let ours = log.filter { line in prefixes.contains { line.id.hasPrefix($0) } }
        let times = Dictionary(ours.map { ($0.id, 1) }, uniquingKeysWith: +)
        let sent = Set(calls.map(\.id))
        let missing = sent.filter { times[$0] == nil }
        let strange = ours.count { !sent.contains($0.id) }
        let twice = times.values.count { $0 > 1 }
        let unechoed = calls.count {
            $0.status != nil && $0.echoedId != nil && $0.echoedId != $0.id
        }
        let pairs = Self.join(level, log) { _ in true }
        let differing = pairs.filter { !Self.agrees($0) }
        let isBad =
            !missing.isEmpty || strange > 0 || twice > 0 || !differing.isEmpty || unechoed > 0
        var text = "\(pairs.count) of \(sent.count) calls found in the log"
        if let id = missing.min() { text += ", missing for instance \(id)" }
        if strange > 0 { text += ", \(strange) lines without a call" }
        if twice > 0 { text += ", \(twice) ids more than once" }
        if unechoed > 0 { text += ", \(unechoed) answers with another id" }
        if let pair = differing.first {
            text +=
                ", \(differing.count) with another status or length, for instance \(pair.call.id): client "
                + "\(pair.call.status ?? 0) and \(pair.call.bodyBytes) bytes, log \(pair.line.status) and "
                + "\(pair.line.bytes) bytes"
        }
        return AuditFinding(
            isBad ? .fail : .pass, level: level.key, text,
            numbers: [
                "calls": Double(sent.count), "joined": Double(pairs.count),
                "missing": Double(missing.count), "strange": Double(strange),
                "twice": Double(twice), "differing": Double(differing.count),
            ])
    }

    /// Whether status and length agree on both sides.
    private static func agrees(_ pair: Pair) -> Bool {
        // A cancelled call has no status, or only a part of the body.
        guard let status = pair.call.status, pair.call.end != nil else { return true }
        guard pair.line.code != "request_cancelled", pair.line.status != 499 else { return true }
        guard status == pair.line.status else { return false }
        let more = pair.line.bytes - pair.call.bodyBytes
        if more == 0 { return true }
        // nginx counts the framing of chunks with the body: a few bytes for each.
        return pair.line.code == nil && more > 0
            && Double(more) <= 64 + 0.02 * Double(pair.call.bodyBytes)
    }

    /// A4: the client's times agree with those of the log.
    var logTimes: AuditCheck {
        let findings = levels.compactMap { level -> AuditFinding? in
            guard let log = level.log, let figures = level.figures else { return nil }
            let pairs = Self.join(level, log) { record in
                record.purpose == .load && record.phase == .hold && record.isValid
            }
            return times(level, pairs, meanMs: figures.endToEnd.mean.value ?? 0)
        }
        return AuditCheck(.a4, findings, otherwise: noLog)
    }

    /// Below this mean, a log in whole milliseconds cannot resolve a deviation of 0.8 %.
    static let comparableMs = 125.0

    private func times(_ level: LevelEvidence, _ pairs: [Pair], meanMs: Double) -> AuditFinding? {
        let client = pairs.compactMap { pair in
            pair.call.end.map { Double($0 - pair.call.send) / 1e6 }
        }
        let server = pairs.filter { $0.call.end != nil }.map { 1000 * $0.line.requestSeconds }
        guard !client.isEmpty else { return nil }
        let mean = SampleStatistics.mean(server)
        let deviation = mean > 0 ? SampleStatistics.mean(client) / mean - 1 : 0
        let medians = (
            Percentile.value(0.5, ofSorted: client.sorted()) ?? 0,
            Percentile.value(0.5, ofSorted: server.sorted()) ?? 0
        )
        let median = medians.1 > 0 ? medians.0 / medians.1 - 1 : 0
        let differences = pairs.compactMap(\.difference)
        let early = differences.count { $0 < -1 }
        let late = zip(differences, server).count { $0 > 50 + 0.02 * $1 }
        let limit = manifest.limits.logDeviation
        let numbers = [
            "deviation_of_means": deviation, "deviation_of_medians": median, "limit": limit,
            "n": Double(client.count), "earliest_ms": differences.min() ?? 0,
            "latest_ms": differences.max() ?? 0, "early": Double(early), "late": Double(late),
        ]
        let text =
            "mean of \(client.count) pairs deviates by \(Self.percent(deviation, 3)), the median by "
            + "\(Self.percent(median, 3)); single differences from "
            + "\(Figures.decimals(differences.min() ?? 0, 1)) to \(Figures.decimals(differences.max() ?? 0, 1)) ms"
        guard meanMs >= Self.comparableMs else {
            return AuditFinding(
                .notApplicable, level: level.key,
                "mean E2E is \(Self.ms(meanMs)), below \(Figures.decimals(Self.comparableMs, 0)) ms: the log has "
                    + "a resolution of milliseconds (\(text))", numbers: numbers)
        }
        let isBad = abs(deviation) >= limit || early > 0 || late > 0
        return AuditFinding(
            isBad ? .fail : .pass, level: level.key,
            text + (early > 0 ? "; \(early) ended before the log says" : "")
                + (late > 0 ? "; \(late) ended more than 50 ms + 2 % after" : ""), numbers: numbers)
    }

    /// A18: with one constant clock offset, the server's intervals lie inside the client's.
    var clocks: AuditCheck {
        let findings = levels.compactMap { level -> AuditFinding? in
            guard let log = level.log, let anchor = level.result?.begin else { return nil }
            let pairs = Self.join(level, log) { $0.purpose == .load && $0.error == nil }
            var low = -Double.infinity
            var high = Double.infinity
            var count = 0
            for pair in pairs {
                guard let end = pair.call.end, let time = pair.line.time else { continue }
                let unix = { (moment: Int64) in
                    Double(anchor.unixMicroseconds) / 1e6
                        + Double(moment - anchor.monotonic) / 1e9
                }
                // Bounds of the offset to add to the server's clock.
                low = max(low, unix(pair.call.send) - (time - pair.line.requestSeconds))
                high = min(high, unix(end) - time)
                count += 1
            }
            guard count > 1 else { return nil }
            let gap = 1000 * (low - high)
            return AuditFinding(
                gap > 5 ? .fail : .pass, level: level.key,
                gap > 5
                    ? "no offset fits all \(count) requests, \(Self.ms(gap)) are missing: a clock was stepped"
                    : "\(count) requests fit with an offset of \(Figures.decimals(500 * (low + high), 1)) ms",
                numbers: ["gap_ms": gap, "limit_ms": 5, "n": Double(count)])
        }
        return AuditCheck(.a18, findings, otherwise: noLog)
    }
}
