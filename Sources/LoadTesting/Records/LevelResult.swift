// Part of Inkstone. Licence: see LICENSE.

/// What one visit of a level measured beside its requests: `level.json`.
public struct LevelResult: Codable, Sendable, Equatable {
    /// Version of the layout of this file.
    public static let schemaVersion = 1

    /// Version of the layout of the file that was read.
    public var schemaVersion = LevelResult.schemaVersion
    /// The level's key, for instance `closed-008`, `open-poisson-60` or `probes`.
    public var level: String
    /// Number of the visit, from 1.
    public var visit: Int
    /// How the level was loaded.
    public var load: LoadModel
    /// False when the run was interrupted in this level.
    public var isComplete = false
    /// The time range of each phase, by the phase's name.
    public var phases: [String: TimeRange] = [:]
    /// The start of the level on two clocks.
    public var begin: ClockAnchor
    /// The end of the level on two clocks.
    public var end: ClockAnchor?
    /// Counts of the level's requests.
    public var accounting = Accounting()
    /// How the load became steady.
    public var settling = Settling()
    /// How long the level was held, and why.
    public var hold = HoldPlan()
    /// Processor time and memory over the hold.
    public var resources = ResourceSummary()
    /// Computed from the records; absent until the report was written.
    public var figures: LevelFigures?
    /// Sentences that a reader of the table should know.
    public var notes: [String] = []

    package init(level: String, visit: Int, load: LoadModel, begin: ClockAnchor) {
        self.level = level
        self.visit = visit
        self.load = load
        self.begin = begin
    }

    /// The time range of the hold; absent when the level did not get that far.
    public var held: TimeRange? { phases[Phase.hold.rawValue] }
}

/// Counts of a level's requests, of all phases but `prime`.
///
/// `planned = sent + dropped` and `sent = valid + failed + inFlightAtCut`.
public struct Accounting: Codable, Sendable, Equatable {
    /// Requests that the load model planned.
    public var planned = 0
    /// Requests that were sent.
    public var sent = 0
    /// Arrivals that were not sent because the maximum was in flight.
    public var dropped = 0
    /// Requests that returned a valid image.
    public var valid = 0
    /// Requests that failed.
    public var failed = 0
    /// Requests still open when the drain ended or the run was interrupted; 0 otherwise.
    public var inFlightAtCut = 0

    package init() {}

    /// Counts the requests sent by their outcome.
    package mutating func count(_ records: [LoadRequestRecord]) {
        sent = records.count
        valid = records.count { $0.isValid }
        inFlightAtCut = records.count { $0.error == .abortedByTester }
        failed = sent - valid - inFlightAtCut
    }

    /// Whether both equations hold.
    public var isBalanced: Bool {
        planned == sent + dropped && sent == valid + failed + inFlightAtCut
    }
}

/// How long settling took.
public struct Settling: Codable, Sendable, Equatable {
    /// Seconds.
    public var seconds = 0.0
    /// Whether the steady-state test passed before the maximum settling time.
    public var becameSteady = false

    package init() {}
}

/// How the length of the hold was determined.
public struct HoldPlan: Codable, Sendable, Equatable {
    /// Seconds that the scenario asks for.
    public var asked = 0.0
    /// Seconds that 200 images or 20 times the mean E2E need, if more.
    public var needed = 0.0
    /// Seconds that the level was held.
    public var held = 0.0
    /// Whether `needed` was limited by the maximum hold.
    public var wasCapped = false

    package init() {}
}

/// Processor time and memory over the hold.
///
/// - Units: cores (processor seconds a second) and MiB; absent where nothing could be read.
public struct ResourceSummary: Codable, Sendable, Equatable {
    /// Processor time of the server's process tree.
    public var serverCores: Double?
    /// Maximum resident memory of the server's process tree.
    public var serverResidentMax: Double?
    /// Maximum proportional set size: shared pages are divided among the processes that map them.
    public var serverProportionalMax: Double?
    /// Mean proportional set size.
    public var serverProportionalMean: Double?
    /// Maximum memory in use on the device.
    public var deviceMemoryMax: Double?
    /// Mean memory in use on the device.
    public var deviceMemoryMean: Double?
    /// Source of the device's memory: `nvml`, `amdgpu`, or `host`.
    public var deviceMemorySource: String?
    /// Mean power of the sources in ``powerSources`` together, in watts; absent where none can be read.
    public var power: Double?
    /// Sources of the power, for instance `rapl package-0`; the load tester's share is included if it runs on the
    /// same machine.
    public var powerSources: [String]?
    /// Processor time of the load tester.
    public var testerCores: Double?
    /// Maximum resident memory of the load tester.
    public var testerResidentMax: Double?
    /// Growth of the tester's resident memory in MiB a minute, by least squares.
    public var testerResidentSlope: Double?
    /// Delay of a timer on the tester's event loop, 99th percentile in ms.
    public var loopLagP99: Double?
    /// Maximum number of connections that the tester had open at once.
    public var connectionsMax: Int?

    package init() {}
}
