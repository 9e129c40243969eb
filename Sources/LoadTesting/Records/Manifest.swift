// Part of Inkstone. Licence: see LICENSE.

/// Identity and origin of a run: `manifest.json`.
public struct Manifest: Codable, Sendable, Equatable {
    /// Version of the layout of the result folder.
    public static let schemaVersion = 1

    /// How far a run got.
    public enum Status: String, Codable, Sendable {
        /// In progress, or its program was killed.
        case running
        /// Interrupted; the levels that were measured can be read.
        case partial
        case complete
    }

    /// What a sweep varies.
    public enum Sweep: String, Codable, Sendable {
        case concurrency, resolution, steps, precision
    }

    /// Version of the layout of the folder that was read.
    public var schemaVersion = Manifest.schemaVersion
    /// `20260101T101500Z-name`: also the folder's name and the prefix of every request id.
    public var run: String
    /// Name of the scenario.
    public var name: String
    /// How far the run got.
    public var status = Status.running
    /// What the run varies; absent for runs of a scenario file.
    public var sweep: Sweep?
    /// The load tester.
    public var program: ProgramFacts
    /// The machine that the load tester ran on.
    public var host: HostFacts
    /// The server.
    public var target: TargetFacts
    /// SHA-256 of `scenario.yaml`, hexadecimal.
    public var scenarioDigest: String
    /// SHA-256 of `plan.jsonl`, hexadecimal.
    public var planDigest: String
    /// Seed of prompts, sizes, image seeds and arrivals.
    public var seed: UInt64
    /// The clock origin: monotonic time 0 of all records.
    public var clock: ClockAnchor
    /// Microseconds since 1970, UTC; absent while the run is in progress.
    public var finished: Int64?
    /// The visits in the order in which they are made.
    public var levels: [LevelVisit]
    /// Visits of each level that the scenario asks for.
    public var repeats = 1
    /// The objectives of the scenario.
    public var objectives = ServiceObjectives()
    /// The limits of the audit.
    public var limits = AuditLimits()
    /// Capacity of the link to the server in bytes a second, if the scenario names it.
    public var linkBytesPerSecond: Double?
    /// What energy and the machine cost; absent when the scenario does not name it.
    public var price: Price?
    /// The part of the plan that was sent; absent for the whole plan.
    public var part: PlanPart?
    /// Names of the runs that were merged; absent for a run of one generator.
    public var parts: [String]?
    /// The command line, without secrets.
    public var arguments: [String]

    /// The prefixes of the ids of requests.
    package var runNames: [String] { parts ?? [run] }

    package init(
        run: String, name: String, sweep: Sweep? = nil, program: ProgramFacts, host: HostFacts,
        target: TargetFacts, scenarioDigest: String, planDigest: String, seed: UInt64,
        clock: ClockAnchor, levels: [LevelVisit], arguments: [String]
    ) {
        self.run = run
        self.name = name
        self.sweep = sweep
        self.program = program
        self.host = host
        self.target = target
        self.scenarioDigest = scenarioDigest
        self.planDigest = planDigest
        self.seed = seed
        self.clock = clock
        self.levels = levels
        self.arguments = arguments
    }
}

/// One visit of a level of a run.
public struct LevelVisit: Codable, Sendable, Equatable {
    /// The level's key, for instance `closed-008`.
    public var level: String
    /// Number of the visit, from 1.
    public var visit: Int
    /// How the level is loaded.
    public var load: LoadModel

    package init(level: String, visit: Int, load: LoadModel) {
        self.level = level
        self.visit = visit
        self.load = load
    }

    /// Path of the visit's folder, relative to the result folder.
    package var folder: String { "levels/\(level)/r\(visit)" }
}

/// The load tester.
public struct ProgramFacts: Codable, Sendable, Equatable {
    /// Version of the library.
    public var version: String
    /// Commit that it was built from; absent when unknown.
    public var commit: String?

    package init(version: String, commit: String?) {
        self.version = version
        self.commit = commit
    }
}

/// The machine that the load tester ran on.
public struct HostFacts: Codable, Sendable, Equatable {
    /// Host name.
    public var name: String
    /// Release of the kernel.
    public var kernel: String
    /// Name of the processor.
    public var processor: String
    /// Number of logical processors.
    public var logicalProcessors: Int
    /// MiB.
    public var memory: Double

    package init(
        name: String, kernel: String, processor: String, logicalProcessors: Int, memory: Double
    ) {
        self.name = name
        self.kernel = kernel
        self.processor = processor
        self.logicalProcessors = logicalProcessors
        self.memory = memory
    }
}

/// The server, as described by the scenario and by the server itself.
public struct TargetFacts: Codable, Sendable, Equatable {
    /// Base URL.
    public var url: String
    /// The interface that was used.
    public var dialect: Dialect
    /// The `Server` header or the body of `/version`.
    public var server: String?
    /// Name of the model.
    public var model: String?
    /// `f32`, `bf16`, `int8`; absent when unknown.
    public var precision: String?
    /// Number of weights of the model, from `/metrics`; absent when unknown.
    public var parameters: Double?
    /// Name of the device: `H100-SXM`, `measured`, ...
    public var device: String?
    /// Number of devices.
    public var devices: Int
    /// Peak of one device in floating point operations a second: from the table of devices or
    /// measured by `imgbench peak`.
    public var peakOperations: Double?
    /// Memory bandwidth of one device in bytes a second.
    public var peakBandwidth: Double?
    /// Caches that the server declares (`inkstone_cache_info`): what each of them keeps, by name.
    public var declaredCaches: [String: String] = [:]
    /// The server's process id, if it runs on this machine.
    public var process: Int?

    package init(url: String, dialect: Dialect, devices: Int = 1) {
        self.url = url
        self.dialect = dialect
        self.devices = devices
    }
}

/// What users would accept; all optional.
public struct ServiceObjectives: Codable, Sendable, Equatable {
    /// Seconds to the first preview, 95th percentile.
    public var firstPreviewP95: Double?
    /// Seconds end to end, 95th percentile.
    public var endToEndP95: Double?
    /// Share of failed requests, 0 to 1.
    public var errors: Double?

    /// Creates objectives that ask for nothing.
    public init() {}
}

/// What running the server costs.
public struct Price: Codable, Sendable, Equatable {
    /// Price of a kilowatt-hour.
    public var kilowattHour: Double?
    /// Price of an hour of the machine.
    public var hour: Double?
    /// The currency, for instance `EUR`.
    public var currency = "EUR"

    /// Creates a price of nothing.
    public init() {}
}

/// Limits of the audit that a scenario may set.
public struct AuditLimits: Codable, Sendable, Equatable {
    /// Maximum relative deviation of the means from those of the access log.
    public var logDeviation = 0.008
    /// Maximum relative deviation of the means from those of the metrics.
    public var metricsDeviation = 0.008
    /// Whether equal images fail the audit, or only warn.
    public var duplicatesFail = true
    /// Maximum difference of a channel of a repeated request's pixels; 0 requires equality.
    public var determinismTolerance = 0

    /// Creates the default limits.
    public init() {}
}
