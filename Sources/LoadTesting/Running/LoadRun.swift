// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation

/// Receives the progress of a run.
public protocol RunObserver: Sendable {
    /// A visit of a level starts.
    func levelDidStart(_ visit: LevelVisit)
    /// A phase of the level starts; `watch` gives snapshots of its state.
    func phaseDidStart(_ watch: LevelWatch)
    /// A visit of a level has ended.
    func levelDidEnd(_ visit: LevelVisit, _ result: LevelResult)
}

/// Runs a plan: every visit of every level, then the audit's own requests.
///
/// ```swift
/// let scenario = try Scenario(contentsOf: URL(filePath: "scenario.yaml"))
/// let run = LoadRun(plan: try RunPlan(scenario), resultsIn: "runs")
/// let manifest = try await run.run()
/// let reporter = try RunReporter(run.folder)
/// try reporter.write()
/// ```
public final class LoadRun: Sendable {
    private let scenario: Scenario
    private let scenarioText: String
    private let plan: RunPlan
    private let sweep: Manifest.Sweep?
    private let arguments: [String]
    private let interrupt: Interrupt
    private let sources = SourceImages()
    private let meter: EnergyMeter
    private let observer: (any RunObserver)?
    /// The result folder, created by `run`.
    public let folder: ResultFolder
    /// Name of the run: start time and name of the scenario.
    public let name: String

    /// Prepares a run.
    ///
    /// - Parameters:
    ///   - plan: what to send.
    ///   - runs: the folder in which the result folder is created.
    ///   - scenarioText: the text of the scenario file, copied into the result folder; by default the
    ///     scenario is written as YAML.
    ///   - sweep: what the plan varies, for plans of ``SweepPlan``.
    ///   - arguments: the command line, for the manifest; without secrets.
    ///   - interrupt: ends the run early.
    ///   - observer: receives the progress.
    public init(
        plan: RunPlan, resultsIn runs: String, scenarioText: String? = nil,
        sweep: Manifest.Sweep? = nil, arguments: [String] = [], interrupt: Interrupt = Interrupt(),
        observer: (any RunObserver)? = nil
    ) {
        scenario = plan.scenario
        self.plan = plan
        self.scenarioText = scenarioText ?? plan.scenario.yaml
        self.sweep = sweep
        self.arguments = arguments
        self.interrupt = interrupt
        self.observer = observer
        meter = EnergyMeter()
        let time = Date().formatted(.iso8601.dateSeparator(.omitted).timeSeparator(.omitted))
        let part = plan.part.isWhole ? "" : "-part-\(plan.part.number)-of-\(plan.part.count)"
        name = time + "-" + scenario.name + part
        folder = ResultFolder(path: runs + "/" + name)
    }

    /// Sends the requests of all visits and writes the result folder.
    ///
    /// Figures, audit and report are computed by ``RunReporter`` afterwards.
    ///
    /// - Returns: the manifest, whose status is `partial` after an interrupt.
    /// - Throws: `RunError` when the server cannot be reached, `ResultError` when the folder
    ///   cannot be written; levels measured before remain in the folder.
    public func run() async throws -> Manifest {
        let clock = RunClock()
        let anchor = clock.anchor
        var connections = 8
        for visit in plan.visits {
            let load = visit.visit.load
            connections = max(
                connections, load.users ?? 0, load.batch ?? 0, load.maximumInFlight ?? 0)
        }
        let http = LoadClient(
            base: scenario.target.url, clock: clock, connections: connections + 4,
            timeout: scenario.request.timeout, key: scenario.target.key)
        do {
            let manifest = try await run(http, anchor, connections + 4)
            await http.shutDown()
            return manifest
        } catch {
            await http.shutDown()
            throw error
        }
    }

    private func run(
        _ http: LoadClient, _ anchor: ClockAnchor, _ connections: Int
    ) async throws -> Manifest {
        let process = self.process
        let target = try await target(http, process)
        try await ShapeProbe(plan: plan, run: name, interrupt: interrupt, sources: sources)
            .check(http)
        let planLines = try PlanFile.lines(plan.requests())
        try ResultFolder.write(Data(scenarioText.utf8), to: folder.scenarioFile)
        try ResultFolder.write(planLines, to: folder.planFile)
        var manifest = manifest(target, planLines, anchor)
        try folder.write(manifest)
        let checker = ImageChecker(folder: folder, seed: scenario.seed)
        var done: [(RunPlan.Visit, LevelResult)] = []
        do {
            for index in plan.visits.indices where !interrupt.isSet {
                var visit = plan.visits[index]
                let later = plan.visits[(index + 1)...].map(\.visit)
                guard try resolve(&visit, done) else {
                    manifest.levels = done.map(\.0.visit) + later
                    continue
                }
                manifest.levels = done.map(\.0.visit) + [visit.visit] + later
                let schedule = plan.schedule(index)
                if let time = schedule?.preparation {
                    await pause(max(0, time.timeIntervalSinceNow))
                } else if index > 0 {
                    await pause(scenario.cooldown)
                }
                try folder.write(manifest)
                let result = try await level(visit, http, process, checker, schedule?.load)
                done.append((visit, result))
            }
            if scenario.probes, sweep == nil || sweep == .concurrency, !interrupt.isSet,
                plan.part.number == 1
            {
                try await probe(done.map(\.0), http, process, checker)
            }
        } catch {
            manifest.status = .partial
            manifest.finished = http.clock.anchor.unixMicroseconds
            try? folder.write(manifest)
            throw error
        }
        manifest.status = interrupt.isSet ? .partial : .complete
        manifest.finished = http.clock.anchor.unixMicroseconds
        try folder.write(manifest)
        return manifest
    }

    /// The manifest of the run at its start.
    private func manifest(
        _ target: TargetFacts, _ planLines: Data, _ anchor: ClockAnchor
    ) -> Manifest {
        var manifest = Manifest(
            run: name, name: scenario.name, sweep: sweep,
            program: .current,
            host: .current, target: target,
            scenarioDigest: SHA256.hexadecimal([UInt8](scenarioText.utf8)),
            planDigest: SHA256.hexadecimal([UInt8](planLines)), seed: scenario.seed, clock: anchor,
            levels: plan.visits.map(\.visit), arguments: arguments)
        manifest.part = plan.part.isWhole ? nil : plan.part
        manifest.repeats = scenario.repeats
        manifest.objectives = scenario.objectives
        manifest.limits = scenario.limits
        manifest.linkBytesPerSecond = scenario.link
        manifest.price = scenario.price
        return manifest
    }

    // MARK: Levels

    private func level(
        _ visit: RunPlan.Visit, _ http: LoadClient, _ process: Int?, _ checker: ImageChecker,
        _ loadStart: Date?
    ) async throws -> LevelResult {
        observer?.levelDidStart(visit.visit)
        var target = scenario.target
        var client = http
        if let url = visit.url, url != target.url {
            target.url = url
            client = LoadClient(
                base: url, clock: http.clock, connections: (visit.visit.load.users ?? 1) + 4,
                timeout: scenario.request.timeout, key: target.key)
        }
        var run = levelRun(visit, client, target, process)
        run.loadStart = loadStart
        let result: LevelResult
        do {
            result = try await run.run(checker: checker)
        } catch {
            if client !== http { await client.shutDown() }
            throw error
        }
        if client !== http { await client.shutDown() }
        observer?.levelDidEnd(visit.visit, result)
        return result
    }

    private func levelRun(
        _ visit: RunPlan.Visit, _ http: LoadClient, _ target: Scenario.Target, _ process: Int?
    ) -> LevelRun {
        let observer = observer
        let clock = http.clock
        return LevelRun(
            run: name, plan: plan, visit: visit, http: http,
            driver: target.dialect.driver(
                http, model: target.model, workflow: target.workflowNodes), dialect: target.dialect,
            server: ServerSide(http: http, target: target), process: process,
            folder: folder.level(visit.visit), interrupt: interrupt, sources: sources,
            meter: meter.isEmpty ? nil : meter,
            watch: { state, view in
                observer?.phaseDidStart(LevelWatch(state: state, clock: clock, view: view))
            })
    }

    /// Sets the rate of an open level that depends on the levels before: a share of the throughput at the
    /// knee, or the next rate of a search.
    ///
    /// - Returns: false for a level of a search that has ended.
    private func resolve(
        _ visit: inout RunPlan.Visit, _ done: [(RunPlan.Visit, LevelResult)]
    ) throws -> Bool {
        if visit.visit.load.isSearch == true, visit.visit.load.kind == .open {
            let levels = try done.filter { $0.0.visit.load.isSearch == true }.map { done in
                RateSearch.Level(
                    load: done.0.visit.load, hold: done.1.held, dropped: done.1.accounting.dropped,
                    records: try folder.level(done.0.visit).requests())
            }
            guard let search = RateSearch(levels, objectives: scenario.objectives) else {
                throw RunError(
                    "The closed level of levels.search returned no image, so there is no rate to start"
                        + " from; increase hold, or see the server's log.")
            }
            visit.visit.load.rate = search.next
            return search.next != nil
        }
        guard let share = visit.shareOfKnee else { return true }
        // Kleinrock's power: the level with the greatest X / R is the knee.
        let points = try done.compactMap { visit, result -> (rate: Double, power: Double)? in
            guard visit.visit.load.kind == .closed, let held = result.held, held.seconds > 0
            else { return nil }
            let records = try folder.level(visit.visit).requests().filter {
                $0.isValid && $0.purpose == .load && held.contains($0.times.end ?? .max)
            }
            let mean = records.reduce(0.0) { $0 + Double($1.endToEnd ?? 0) } / Double(records.count)
            guard !records.isEmpty, mean > 0 else { return nil }
            let rate = Double(records.count) / held.seconds
            return (rate, rate / mean)
        }
        guard let knee = points.max(by: { $0.power < $1.power }) else {
            throw RunError(
                "level \(visit.visit.level) has a share of the knee as rate, but no closed level before"
                    + " it returned an image; list closed levels first, or set a rate such as 5/s.")
        }
        visit.visit.load.rate = share * knee.rate
        return true
    }

    /// Sends the audit's requests: repeats some, to check that their pixels are the same, and sends
    /// equal ones next to new ones, to check whether a cache responds.
    private func probe(
        _ visits: [RunPlan.Visit], _ http: LoadClient, _ process: Int?, _ checker: ImageChecker
    ) async throws {
        guard var visit = visits.first else { return }
        var earlier: [LoadRequestRecord] = []
        for done in visits where done.visit.load.kind != .probes {
            earlier += try folder.level(done.visit).requests().filter {
                $0.isValid && $0.purpose == .load && $0.image?.pixelDigest != nil
            }
        }
        guard !earlier.isEmpty else { return }
        visit.visit = LevelVisit(
            level: "probes", visit: 1, load: LoadModel(kind: .probes, users: 1))
        visit.content = plan.visits.count
        visit.trace = []
        visit.limit = nil
        observer?.levelDidStart(visit.visit)
        let run = levelRun(visit, http, scenario.target, process)
        let result = try await run.probe(earlier, seed: scenario.seed, checker: checker)
        observer?.levelDidEnd(visit.visit, result)
    }

    private func pause(_ seconds: Double) async {
        for _ in 0..<Int((seconds * 20).rounded()) where !interrupt.isSet {
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: Facts

    /// The server's process, if it is on this machine.
    private var process: Int? {
        switch scenario.target.process {
        case .none: return nil
        case .id(let id): return id
        case .port(let port): return ProcessTable.listener(on: port)
        case .automatic:
            guard let url = URL(string: scenario.target.url),
                ["127.0.0.1", "localhost", "::1", "[::1]"].contains(url.host ?? "")
            else { return nil }
            return ProcessTable.listener(on: url.port ?? (url.scheme == "https" ? 443 : 80))
        }
    }

    private func target(_ http: LoadClient, _ process: Int?) async throws -> TargetFacts {
        var facts = TargetFacts(
            url: scenario.target.url, dialect: scenario.target.dialect,
            devices: scenario.device.count)
        facts.process = process
        facts.model = scenario.target.model
        facts.device = scenario.device.name
        facts.peakOperations = scenario.device.operations
        facts.peakBandwidth = scenario.device.bandwidth
        let head = await http.perform(
            HTTPCall(method: .get, path: "/version", id: name + "-version"))
        if let failure = head.failure {
            throw RunError(
                "\(scenario.target.url) cannot be reached (\(failure.detail)); start the server, or"
                    + " set another URL with --target.")
        }
        facts.server = head.server
        struct Version: Decodable {
            var name: String
            var version: String
        }
        if head.status == 200 {
            let text = String(decoding: head.body.prefix(200), as: UTF8.self)
            let known = try? JSONDecoder().decode(Version.self, from: Data(head.body))
            facts.server =
                known.map { "\($0.name) \($0.version)" }
                ?? text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        guard let text = await ServerSide(http: http, target: scenario.target).metrics() else {
            return facts
        }
        let metrics = MetricsSnapshot(text: text)
        let models = metrics.labels(of: "inkstone_model_info")
        let model = models.first { $0["model"] == facts.model } ?? models.first
        facts.model = facts.model ?? model?["model"]
        facts.precision = model?["precision"]
        if models.count == 1 {
            facts.parameters = metrics.sum("inkstone_model_parameters")
        }
        for cache in metrics.labels(of: "inkstone_cache_info") {
            if let name = cache["cache"] { facts.declaredCaches[name] = cache["keeps"] ?? "" }
        }
        return facts
    }
}

/// Access to the state of a running level, for a view.
public struct LevelWatch: Sendable {
    let state: LevelState
    let clock: RunClock
    /// What the state does not contain.
    public let view: LevelView
}
