// Part of Inkstone. Licence: see LICENSE.

/// What a run is and where it was made: `manifest.json`.
package struct Manifest: Codable, Sendable, Equatable {
    /// Layout of the result folder.
    package static let schemaVersion = 1

    package enum Status: String, Codable, Sendable {
        /// Being made, or its program was killed.
        case running
        /// Interrupted; what is there can be read.
        case partial
        case complete
    }

    /// What a sweep varies.
    package enum Sweep: String, Codable, Sendable {
        case concurrency, resolution, steps, precision
    }

    package var schemaVersion = Manifest.schemaVersion
    /// `20260101T101500Z-name`, also the folder's name and the begin of every request's id.
    package var run: String
    package var name: String
    package var status = Status.running
    package var sweep: Sweep?
    package var program: ProgramFacts
    package var host: HostFacts
    package var target: TargetFacts
    /// SHA-256 of `scenario.yaml`, hexadecimal.
    package var scenarioDigest: String
    /// SHA-256 of `plan.jsonl`, hexadecimal.
    package var planDigest: String
    package var seed: UInt64
    /// The clock origin: monotonic time 0 of all records.
    package var clock: ClockAnchor
    /// Microseconds since 1970, UTC; absent while it runs.
    package var finished: Int64?
    /// The visits in their order.
    package var levels: [LevelVisit]
    /// Visits of each level that the scenario asks for.
    package var repeats = 1
    package var objectives = ServiceObjectives()
    package var limits = AuditLimits()
    /// Bytes a second that the link to the server carries, where the scenario says so.
    package var linkBytesPerSecond: Double?
    /// The command line, without secrets.
    package var arguments: [String]

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

/// A level of the run and which visit of it.
package struct LevelVisit: Codable, Sendable, Equatable {
    /// For instance `closed-008`.
    package var level: String
    /// From 1.
    package var visit: Int
    package var load: LoadModel

    package init(level: String, visit: Int, load: LoadModel) {
        self.level = level
        self.visit = visit
        self.load = load
    }

    /// Its folder, from the result folder.
    package var folder: String { "levels/\(level)/r\(visit)" }
}

/// The load tester.
package struct ProgramFacts: Codable, Sendable, Equatable {
    package var version: String
    /// Commit that it was built from, absent when not known.
    package var commit: String?

    package init(version: String, commit: String?) {
        self.version = version
        self.commit = commit
    }
}

/// The machine that the load tester runs on.
package struct HostFacts: Codable, Sendable, Equatable {
    package var name: String
    package var kernel: String
    package var processor: String
    package var logicalProcessors: Int
    /// MiB.
    package var memory: Double

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

/// The server, as the scenario and the server itself describe it.
package struct TargetFacts: Codable, Sendable, Equatable {
    package var url: String
    package var dialect: Dialect
    /// The `Server` header or `/version`.
    package var server: String?
    package var model: String?
    /// `f32`, `bf16`, `int8`; absent when not known.
    package var precision: String?
    /// Weights of the model, from `/metrics`; absent when not known.
    package var parameters: Double?
    /// Name of the device: `H100-SXM`, `measured`, ...
    package var device: String?
    package var devices: Int
    /// Peak of one device, floating point operations a second: from the table of devices or
    /// measured by `imgbench peak`.
    package var peakOperations: Double?
    /// Bytes a second of one device.
    package var peakBandwidth: Double?
    /// Caches that the server says it has (`inkstone_cache_info`), by name with what they keep.
    package var declaredCaches: [String: String] = [:]
    /// The server's process on this machine, when it is here.
    package var process: Int?

    package init(url: String, dialect: Dialect, devices: Int = 1) {
        self.url = url
        self.dialect = dialect
        self.devices = devices
    }
}

/// What users would accept; all optional.
package struct ServiceObjectives: Codable, Sendable, Equatable {
    /// Seconds to the first preview, 95th percentile.
    package var firstPreviewP95: Double?
    /// Seconds end to end, 95th percentile.
    package var endToEndP95: Double?
    /// Share of failed requests, 0 to 1.
    package var errors: Double?

    package init() {}
}

/// Limits of the audit that a scenario may set.
package struct AuditLimits: Codable, Sendable, Equatable {
    /// Share by which means may deviate from the access log's.
    package var logDeviation = 0.008
    /// The same for the metrics.
    package var metricsDeviation = 0.008
    /// Whether equal images fail the audit, or only warn.
    package var duplicatesFail = true
    /// Most that a channel of a repeated request's pixels may differ; 0 means identical.
    package var determinismTolerance = 0

    package init() {}
}
