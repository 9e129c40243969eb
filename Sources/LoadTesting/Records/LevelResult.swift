// Part of Inkstone. Licence: see LICENSE.

/// What one visit of a level measured beside its requests: `level.json`.
package struct LevelResult: Codable, Sendable, Equatable {
    /// Layout of this file.
    package static let schemaVersion = 1

    package var schemaVersion = LevelResult.schemaVersion
    /// The level's key, for instance `closed-008`, `open-poisson-60` or `probes`.
    package var level: String
    /// Which visit of it, from 1.
    package var visit: Int
    package var load: LoadModel
    /// False when the run was interrupted in this level.
    package var isComplete = false
    /// When each phase was, by its name.
    package var phases: [String: TimeRange] = [:]
    /// The moment on two clocks at the begin of the level.
    package var begin: ClockAnchor
    /// The same at its end.
    package var end: ClockAnchor?
    package var accounting = Accounting()
    package var settling = Settling()
    package var hold = HoldPlan()
    package var resources = ResourceSummary()
    /// Computed from the records; absent until statistics ran.
    package var figures: LevelFigures?
    /// Sentences that a reader of the table should know.
    package var notes: [String] = []

    package init(level: String, visit: Int, load: LoadModel, begin: ClockAnchor) {
        self.level = level
        self.visit = visit
        self.load = load
        self.begin = begin
    }

    /// The stretch that was held, if it came to that.
    package var held: TimeRange? { phases[Phase.hold.rawValue] }
}

/// Where the requests of a level went, all phases but `prime`.
///
/// `planned = sent + dropped` and `sent = valid + failed + inFlightAtCut`.
package struct Accounting: Codable, Sendable, Equatable {
    package var planned = 0
    package var sent = 0
    /// Arrivals that would have exceeded the most in flight.
    package var dropped = 0
    package var valid = 0
    package var failed = 0
    /// Still open when the drain ended or the run was interrupted; 0 otherwise.
    package var inFlightAtCut = 0

    package init() {}

    package var isBalanced: Bool {
        planned == sent + dropped && sent == valid + failed + inFlightAtCut
    }
}

/// How long settling took.
package struct Settling: Codable, Sendable, Equatable {
    /// Seconds.
    package var seconds = 0.0
    /// Whether the live test for a steady state passed before the longest time for it.
    package var becameSteady = false

    package init() {}
}

/// How the hold's length came about.
package struct HoldPlan: Codable, Sendable, Equatable {
    /// Seconds, as the scenario says.
    package var asked = 0.0
    /// Seconds that 200 images or 20 times the mean E2E need, if more.
    package var needed = 0.0
    /// Seconds that it was held.
    package var held = 0.0
    /// Whether `needed` was cut by the longest hold.
    package var wasCapped = false

    package init() {}
}

/// Processor and memory over the hold.
///
/// - Units: cores (processor seconds a second) and MiB; absent where nothing could be read.
package struct ResourceSummary: Codable, Sendable, Equatable {
    package var serverCores: Double?
    package var serverResidentMax: Double?
    /// Proportional set size: shared pages are divided among the processes that map them.
    package var serverProportionalMax: Double?
    package var serverProportionalMean: Double?
    package var deviceMemoryMax: Double?
    package var deviceMemoryMean: Double?
    /// Where the device's memory was read: `nvml`, a metric's name, or `host`.
    package var deviceMemorySource: String?
    package var testerCores: Double?
    package var testerResidentMax: Double?
    /// Growth of the tester's resident memory, MiB a minute, by least squares.
    package var testerResidentSlope: Double?
    /// How late the tester's event loop ran a timer, 99th percentile in ms.
    package var loopLagP99: Double?
    /// Most connections that the tester had open at once.
    package var connectionsMax: Int?

    package init() {}
}
