// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Everything that a result folder contains about a run.
public struct RunEvidence: Sendable {
    /// Identity and origin of the run.
    public var manifest: Manifest
    /// The visits that have records, in order.
    public var levels: [LevelEvidence]
    /// The audit's own requests.
    public var probes: LevelEvidence?
    /// The headline of the report in the folder, if there is one.
    public var headline: Headline?

    package init(manifest: Manifest, levels: [LevelEvidence], probes: LevelEvidence? = nil) {
        self.manifest = manifest
        self.levels = levels
        self.probes = probes
    }

    /// Reads a result folder; of a partial run, what was measured.
    ///
    /// - Throws: `ResultError` when the folder or one of its files cannot be read.
    public init(_ folder: ResultFolder) throws {
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

    /// Computes the figures of every level from its records.
    public mutating func compute() {
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

    /// Whether the run or one of its levels is incomplete.
    public var isPartial: Bool {
        manifest.status != .complete || levels.contains { $0.isPartial }
    }

    /// The closed levels with figures, the first visit of each, sorted by users; empty for sweeps of
    /// anything but concurrency.
    public var closed: [(users: Int, level: LevelEvidence, figures: LevelFigures)] {
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
