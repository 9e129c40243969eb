// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A whole run as its folder holds it.
package struct RunEvidence: Sendable {
    package var manifest: Manifest
    package var levels: [LevelEvidence]
    /// The audit's own requests.
    package var probes: LevelEvidence?
    /// What the report on disk says, if there is one.
    package var headline: Headline?

    package init(manifest: Manifest, levels: [LevelEvidence], probes: LevelEvidence? = nil) {
        self.manifest = manifest
        self.levels = levels
        self.probes = probes
    }

    /// Reads a result folder; a partial one gives what is there.
    ///
    /// - Throws: `ResultError`.
    package init(_ folder: ResultFolder) throws {
        let manifest = try folder.manifest()
        self.init(
            manifest: manifest,
            levels: try folder.presentLevels(manifest).map {
                try LevelEvidence($0, in: folder.level($0))
            })
        let probes = folder.probes
        if FileManager.default.fileExists(atPath: probes.requestsFile.path) {
            self.probes = try LevelEvidence(
                LevelVisit(level: "probes", visit: 1, load: LoadModel(kind: .probes)), in: probes)
        }
        headline = Headline(storedIn: folder)
    }

    /// Computes every level's figures anew from its records.
    package mutating func compute() {
        let target = manifest.target
        let model = target.model.flatMap(WorkModel.named)
        let peak = target.peakOperations.map { $0 * Double(target.devices) }
        for index in levels.indices {
            guard let hold = levels[index].hold else { continue }
            levels[index].figures = LevelFigures(
                records: levels[index].records, hold: hold, objectives: manifest.objectives,
                peakOperations: peak, operations: { request in model?.operations(request) })
        }
    }

    /// Whether anything was cut.
    package var isPartial: Bool {
        manifest.status != .complete || levels.contains { $0.isPartial }
    }

    /// Closed levels with figures, the first visit of each, by users; none in sweeps of other things.
    package var closed: [(users: Int, level: LevelEvidence, figures: LevelFigures)] {
        guard manifest.sweep == nil || manifest.sweep == .concurrency else { return [] }
        var seen: Set<Int> = []
        return levels.compactMap { level in
            guard let users = level.users, let figures = level.figures else { return nil }
            return (users, level, figures)
        }
        .filter { seen.insert($0.users).inserted }
        .sorted { $0.users < $1.users }
    }
}
