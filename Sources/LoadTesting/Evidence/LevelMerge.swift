// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Merges what several generators recorded of one visit of a level.
struct LevelMerge {
    private let visit: LevelVisit
    private var results: [LevelResult] = []
    /// All records, in order of completion.
    private(set) var records: [LoadRequestRecord] = []
    /// The lines of the server's log, each once; `nil` if no part has them.
    private(set) var log: String?
    /// The metrics that were read last before the load.
    private(set) var before: Data?
    /// The metrics that were read last after it.
    private(set) var after: Data?
    private var lastPriming = Int64.min
    private var lastDrain = Int64.min

    init(_ visit: LevelVisit) { self.visit = visit }

    /// Adds a part, whose times are moved by `shift` nanoseconds.
    mutating func add(
        _ new: [LoadRequestRecord], _ result: LevelResult, shift: Int64, log text: String?,
        metrics: (before: Data?, after: Data?)
    ) {
        records += new.map { $0.shifted(by: shift) }
        records.sort { ($0.times.end ?? .max, $0.id) < ($1.times.end ?? .max, $1.id) }
        var result = result
        result.shift(by: shift)
        results.append(result)
        if let text {
            let known = Set((log ?? "").split(separator: "\n"))
            let lines = text.split(separator: "\n").filter { !known.contains($0) }
            log = (log ?? "") + lines.map { $0 + "\n" }.joined()
        }
        // Counters cover all parts between the last reading before the load and the last one after it.
        let priming = result.phases[Phase.prime.rawValue]?.end ?? .min
        if let text = metrics.before, priming >= lastPriming {
            (before, lastPriming) = (text, priming)
        }
        let drain = result.phases[Phase.drain.rawValue]?.end ?? .min
        if let text = metrics.after, drain >= lastDrain { (after, lastDrain) = (text, drain) }
    }

    /// The merged result.
    ///
    /// - Throws: `ResultError` when a request was sent twice, or when the parts were not held at the same time.
    func result() throws -> LevelResult {
        let load = records.filter { $0.purpose == .load && $0.phase != .prime }
        var seen: Set<Int> = []
        if let twice = load.first(where: { !seen.insert($0.sequence).inserted }) {
            throw ResultError(
                "Request \(twice.sequence) of \(visit.level) was sent by two parts; every part must have"
                    + " another number in --part.")
        }
        guard var merged = results.first else {
            throw ResultError("Level \(visit.level) has no part.")
        }
        let held = results.compactMap(\.held)
        guard let start = held.map(\.start).max(), let end = held.map(\.end).min(), end > start
        else {
            throw ResultError(
                "The parts of level \(visit.level) were not held at the same time; start all of them with"
                    + " the same --start, and synchronise the machines' clocks.")
        }
        let longest = held.map { $0.end - $0.start }.max() ?? 1
        if Double(end - start) < 0.8 * Double(longest) {
            merged.notes.append(
                "the parts were held together for \(Figures.decimals(Double(end - start) / 1e9, 1)) s of "
                    + "\(Figures.decimals(Double(longest) / 1e9, 1)) s")
        }
        let settle = results.compactMap { $0.phases[Phase.settle.rawValue]?.start }.min() ?? start
        let drain = results.compactMap { $0.phases[Phase.drain.rawValue]?.end }.max() ?? end
        merged.phases = [
            Phase.settle.rawValue: TimeRange(start: settle, end: start),
            Phase.hold.rawValue: TimeRange(start: start, end: end),
            Phase.drain.rawValue: TimeRange(start: end, end: max(end, drain)),
        ]
        merged.hold.held = Double(end - start) / 1e9
        merged.isComplete = results.allSatisfy(\.isComplete)
        merged.figures = nil
        merged.notes += results.dropFirst().flatMap(\.notes)
        merged.accounting = accounting(load)
        merged.resources = resources()
        return merged
    }

    private func accounting(_ load: [LoadRequestRecord]) -> Accounting {
        var sum = Accounting()
        sum.count(load)
        sum.planned = results.reduce(0) { $0 + $1.accounting.planned }
        sum.dropped = results.reduce(0) { $0 + $1.accounting.dropped }
        return sum
    }

    /// The server's resources from the part that read them; of the testers, the most loaded one.
    private func resources() -> ResourceSummary {
        let all = results.map(\.resources)
        var merged = all.first { $0.serverCores != nil } ?? all.first ?? ResourceSummary()
        merged.testerCores = all.compactMap(\.testerCores).max()
        merged.testerResidentMax = all.compactMap(\.testerResidentMax).max()
        merged.testerResidentSlope = all.compactMap(\.testerResidentSlope).max()
        merged.loopLagP99 = all.compactMap(\.loopLagP99).max()
        let connections = all.compactMap(\.connectionsMax)
        merged.connectionsMax = connections.isEmpty ? nil : connections.reduce(0, +)
        return merged
    }
}

extension LoadRequestRecord {
    /// The record with its times moved.
    fileprivate func shifted(by shift: Int64) -> LoadRequestRecord {
        guard shift != 0 else { return self }
        var copy = self
        copy.times.planned += shift
        copy.times.send += shift
        copy.times.headOut? += shift
        copy.times.headIn? += shift
        copy.times.firstByte? += shift
        copy.times.previews = times.previews.map { $0 + shift }
        copy.times.image? += shift
        copy.times.end? += shift
        for index in copy.calls.indices {
            copy.calls[index].send += shift
            copy.calls[index].end? += shift
        }
        return copy
    }
}

extension LevelResult {
    fileprivate mutating func shift(by shift: Int64) {
        phases = phases.mapValues { TimeRange(start: $0.start + shift, end: $0.end + shift) }
        begin.monotonic += shift
        end?.monotonic += shift
    }
}
