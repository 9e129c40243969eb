// Part of Inkstone. Licence: see LICENSE.

extension SeriesBin {
    /// The seconds from the start of settling to the end of the drain.
    static func bins(
        _ records: [LoadRequestRecord], phases: [String: TimeRange],
        samples: [ResourceSampler.Sample]
    ) -> [SeriesBin] {
        guard let start = phases[Phase.settle.rawValue]?.start,
            let end = (phases[Phase.drain.rawValue] ?? phases[Phase.hold.rawValue])?.end
        else { return [] }
        let second: Int64 = 1_000_000_000
        let load = records.filter { $0.purpose == .load }
        var bins = (0...Int((end - start) / second)).map { index in
            let time = start + Int64(index) * second
            let phase = [Phase.settle, .hold, .drain].last {
                phases[$0.rawValue].map { $0.start <= time } ?? false
            }
            return SeriesBin(second: index, phase: phase ?? .settle)
        }
        let last = bins.count - 1
        func index(_ time: Int64) -> Int { min(last, max(0, Int((time - start) / second))) }
        var sums = [Double](repeating: 0, count: bins.count)
        for record in load {
            bins[index(record.times.send)].sent += 1
            let close = record.times.end ?? end
            for bin in index(record.times.send)...index(close) {
                let open = start + Int64(bin) * second
                let overlap = min(close, open + second) - max(record.times.send, open)
                bins[bin].inFlight += Double(max(0, overlap)) / Double(second)
            }
            guard let time = record.endToEnd, let ended = record.times.end else { continue }
            if record.isValid {
                bins[index(ended)].valid += 1
            } else {
                bins[index(ended)].failed += 1
            }
            sums[index(ended)] += Double(time) / 1e6
        }
        for bin in bins.indices {
            let count = bins[bin].valid + bins[bin].failed
            if count > 0 { bins[bin].meanEndToEnd = sums[bin] / Double(count) }
        }
        add(samples.filter { $0.time >= start && $0.time <= end }, to: &bins, index)
        return bins
    }

    /// Adds memory, the maximum of each second, and cores, from sample to sample.
    private static func add(
        _ samples: [ResourceSampler.Sample], to bins: inout [SeriesBin], _ index: (Int64) -> Int
    ) {
        var groups: [Int: [ResourceSampler.Sample]] = [:]
        for sample in samples { groups[index(sample.time), default: []].append(sample) }
        for (bin, group) in groups {
            bins[bin].hostMemory = group.compactMap(\.proportional).max()
            bins[bin].deviceMemory =
                group.compactMap(\.energy?.deviceMemory).max() ?? bins[bin].hostMemory
            // The first sample of the next second ends this one.
            guard let first = group.first, let last = groups[bin + 1]?.first ?? group.last,
                last.time > first.time
            else { continue }
            let seconds = Double(last.time - first.time) / 1e9
            if let before = first.server, let after = last.server {
                bins[bin].serverCores = max(0, after.cpu - before.cpu) / seconds
            }
            if let before = first.tester, let after = last.tester {
                bins[bin].testerCores = (after.cpu - before.cpu) / seconds
            }
        }
    }
}
