// Part of Inkstone. Licence: see LICENSE.

extension RateSearch {
    /// The search of a run; `nil` if it has none.
    package init?(_ evidence: RunEvidence) {
        self.init(
            evidence.levels.filter { $0.visit.load.isSearch == true }.map { level in
                Level(
                    load: level.visit.load, hold: level.hold,
                    dropped: level.result?.accounting.dropped ?? 0, records: level.records)
            }, objectives: evidence.manifest.objectives)
    }
}
