// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension LevelRun {
    /// Requests of each kind for the cache check.
    static let cachePairs = 20

    /// Sends the audit's requests, one at a time.
    ///
    /// 1 % of the run's valid requests, at least 3 and at most 50, are repeated.
    func probe(
        _ earlier: [LoadRequestRecord], seed: UInt64, checker: ImageChecker
    ) async throws -> LevelResult {
        var result = LevelResult(
            level: visit.visit.level, visit: visit.visit.visit, load: visit.visit.load,
            begin: clock.anchor)
        let store = ImageStore(spill: folder.url.appending(path: "images.tmp"))
        defer { store.clear() }
        let offset = server.logOffset()
        let before = await server.quietMetrics()
        var entries: [LevelState.Entry] = []
        let start = clock.now
        var generator = SplitMix64(seed: seed &+ 7)
        let count = min(50, max(3, earlier.count / 100))
        for record in earlier.shuffled(using: &generator).prefix(count) where !interrupt.isSet {
            entries.append(
                await probe(record.parameters, entries.count, .determinism, record.id, store))
        }
        // The first of the equal ones fills a cache and is not compared.
        let equal = plan.parameters(visit, 0)
        if !interrupt.isSet {
            entries.append(await probe(equal, entries.count, .cacheIdentical, nil, store))
        }
        for index in 1...Self.cachePairs where !interrupt.isSet {
            var other = plan.parameters(visit, index)
            // The same work, so that only the cache can make a difference.
            (other.width, other.height, other.steps) = (equal.width, equal.height, equal.steps)
            (other.lora, other.loraScale) = (equal.lora, equal.loraScale)
            let pair: [(RequestParameters, LoadRequestRecord.Purpose)] = [
                (equal, .cacheIdentical), (other, .cacheUnique),
            ]
            for (parameters, purpose) in index.isMultiple(of: 2) ? pair : pair.reversed() {
                entries.append(await probe(parameters, entries.count, purpose, nil, store))
            }
        }
        result.phases[Phase.hold.rawValue] = TimeRange(start: start, end: clock.now)
        let after = await server.quietMetrics()
        if let text = before.text {
            try ResultFolder.write(Data(text.utf8), to: folder.metricsBeforeFile)
        }
        if let text = after.text {
            try ResultFolder.write(Data(text.utf8), to: folder.metricsAfterFile)
        }
        if let offset,
            let lines = await server.logLines(
                since: offset, lastID: entries.last?.record.calls.last?.id)
        {
            try ResultFolder.write(lines, to: folder.accessLogFile)
        }
        let records = await checker.check(entries, store, visit)
        let log = try LoadRequestLog(folder)
        for record in records { try log.append(record) }
        try log.close()
        result.accounting.planned = records.count
        result.accounting.sent = records.count
        result.accounting.valid = records.count { $0.isValid }
        result.accounting.inFlightAtCut = records.count { $0.error == .abortedByTester }
        result.accounting.failed =
            records.count - result.accounting.valid - result.accounting.inFlightAtCut
        result.end = clock.anchor
        result.isComplete = !interrupt.isSet
        try folder.write(result)
        return result
    }

    private func probe(
        _ parameters: RequestParameters, _ sequence: Int, _ purpose: LoadRequestRecord.Purpose,
        _ repeats: String?, _ store: ImageStore
    ) async -> LevelState.Entry {
        await send(
            parameters, LevelState.Ticket(sequence: sequence, phase: .hold, isAlone: true),
            planned: nil, purpose: purpose, repeats: repeats, store)
    }
}
