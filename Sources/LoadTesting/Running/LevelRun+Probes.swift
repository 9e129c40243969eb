// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension LevelRun {
    /// Number of pairs of the cache check.
    static let cachePairs = 20

    /// Sends the audit's requests, one at a time.
    ///
    /// 1 % of the run's valid requests, at least 3 and at most 50, are repeated.
    func probe(
        _ earlier: [LoadRequestRecord], seed: UInt64, checker: ImageChecker
    ) async throws -> LevelResult {
        var result = newResult
        let store = newStore
        defer { store.clear() }
        let offset = server.logOffset()
        let before = await server.quietMetrics()
        let start = clock.now
        var entries = await repeatEarlier(earlier, seed: seed, store)
        await probeCache(store, &entries)
        result.phases[Phase.hold.rawValue] = TimeRange(start: start, end: clock.now)
        let after = await server.quietMetrics()
        try await saveServerFiles(before.text, after.text, offset, entries)
        let records = await checker.check(entries, store, visit, sources)
        let log = try LoadRequestLog(folder)
        for record in records { try log.append(record) }
        try log.close()
        result.accounting.count(records)
        result.accounting.planned = records.count
        return try finish(&result)
    }

    /// Repeats a sample of earlier requests, to check that their pixels are the same.
    private func repeatEarlier(
        _ earlier: [LoadRequestRecord], seed: UInt64, _ store: ImageStore
    ) async -> [LevelState.Entry] {
        var entries: [LevelState.Entry] = []
        var generator = SplitMix64(seed: seed &+ 7)
        let count = min(50, max(3, earlier.count / 100))
        // A turn of a session cannot be repeated without the image of the turn before.
        let single = earlier.filter { $0.parameters.source?.previous == nil }
        for record in single.shuffled(using: &generator).prefix(count) where !interrupt.isSet {
            entries.append(
                await probe(record.parameters, entries.count, .determinism, record.id, store))
        }
        return entries
    }

    /// Sends equal and new requests in turn, to check whether a cache responds.
    private func probeCache(_ store: ImageStore, _ entries: inout [LevelState.Entry]) async {
        // The first of the equal ones fills a cache and is not compared.
        let turns = visit.mix.turns
        let equal = plan.parameters(visit, 0)
        if !interrupt.isSet {
            entries.append(await probe(equal, entries.count, .cacheIdentical, nil, store))
        }
        for index in 1...Self.cachePairs where !interrupt.isSet {
            // The first turn of a session needs no image of a turn before.
            var other = plan.parameters(visit, index * turns)
            // The same work, so that only the cache can make a difference.
            (other.width, other.height, other.steps) = (equal.width, equal.height, equal.steps)
            (other.lora, other.loraScale) = (equal.lora, equal.loraScale)
            (other.source, other.control) = (equal.source, equal.control)
            let pair: [(RequestParameters, LoadRequestRecord.Purpose)] = [
                (equal, .cacheIdentical), (other, .cacheUnique),
            ]
            for (parameters, purpose) in index.isMultiple(of: 2) ? pair : pair.reversed() {
                entries.append(await probe(parameters, entries.count, purpose, nil, store))
            }
        }
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
