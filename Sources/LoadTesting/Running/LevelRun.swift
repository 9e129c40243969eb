// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Transfers

/// One visit of a level, from waiting for the server to the checked images.
struct LevelRun: Sendable {
    let run: String
    let plan: RunPlan
    let visit: RunPlan.Visit
    let http: LoadClient
    let driver: any Driver
    let dialect: Dialect
    let server: ServerSide
    let process: Int?
    let folder: LevelFolder
    let interrupt: Interrupt
    /// The files that requests send.
    let sources: SourceImages
    /// Reads the energy of this machine.
    let meter: EnergyMeter?
    /// When the load begins, for a part of a plan.
    var loadStart: Date?
    /// Called at the start of each phase, for the terminal.
    let watch: @Sendable (LevelState, LevelView) -> Void

    var clock: RunClock { http.clock }
    private var scenario: Scenario { plan.scenario }

    /// Runs the level; an interrupt ends it early, with what was measured.
    func run(checker: ImageChecker) async throws -> LevelResult {
        var result = newResult
        result.hold.asked = visit.visit.load.seconds ?? scenario.hold
        let state = LevelState(
            limit: visit.limit,
            numbering: PlanNumbering(turns: visit.mix.turns, part: plan.part))
        sources.prepare(visit.mix, isTransparent: dialect.hasTransparentMasks)
        let store = newStore
        let log = try LoadRequestLog(folder)
        defer {
            store.clear()
            try? log.close()
        }
        let offset = server.logOffset()
        var entries = try await prepare(state, store, &result)
        let before = await server.quietMetrics()
        let sampler = ResourceSampler(clock: clock, process: process, meter: meter)
        for entry in entries { try log.append(entry.record) }
        await awaitLoadStart(&result)
        try await measure(state, store, log, sampler, &result)
        entries += state.entries()
        let after = await server.quietMetrics()
        if before.text != nil, !before.isQuiet || !after.isQuiet {
            result.notes.append(
                "the metrics were read while requests were in flight: the gauge"
                    + " inkstone_requests_in_flight was missing or not 0")
        }
        try await saveServerFiles(before.text, after.text, offset, entries)

        let records = await checker.check(entries, store, visit, sources)
        try ResultFolder.write(try RecordCoding.lines(records), to: folder.requestsFile)
        count(records, state, &result)
        let held = result.held ?? TimeRange(start: clock.now, end: clock.now)
        result.resources = sampler.summary(held, loopLags: state.loopLags)
        result.resources.connectionsMax = http.resetPeakConnections()
        try folder.write(
            SeriesBin.bins(records, phases: result.phases, samples: sampler.readings))
        reportAmbiguousPreviews(&result)
        return try finish(&result)
    }

    // MARK: Parts of a level

    /// The result of a level that starts now.
    var newResult: LevelResult {
        LevelResult(
            level: visit.visit.level, visit: visit.visit.visit, load: visit.visit.load,
            begin: clock.anchor)
    }

    /// The store of the level's images.
    var newStore: ImageStore { ImageStore(spill: folder.url.appending(path: "images.tmp")) }

    /// Waits until the server is ready, and primes it.
    ///
    /// - Returns: the entries of priming.
    /// - Throws: `RunError` when the server does not become ready or refuses every kind of request.
    private func prepare(
        _ state: LevelState, _ store: ImageStore, _ result: inout LevelResult
    ) async throws -> [LevelState.Entry] {
        var start = clock.now
        if !(await server.waitUntilReady(seconds: 600, interrupt: interrupt)), !interrupt.isSet {
            throw RunError(Self.notReady(server.target.url))
        }
        result.phases[Phase.ready.rawValue] = TimeRange(start: start, end: clock.now)
        start = clock.now
        let entries = try await prime(state, store)
        result.phases[Phase.prime.rawValue] = TimeRange(start: start, end: clock.now)
        return entries
    }

    /// Waits for the moment at which all generators of a plan begin the load.
    private func awaitLoadStart(_ result: inout LevelResult) async {
        guard let loadStart else { return }
        let late = -loadStart.timeIntervalSinceNow
        if late > 0.1 {
            result.notes.append(
                "the load began \(Figures.decimals(late, 1)) s after its time: preparation took longer than"
                    + " request.timeout")
        }
        while !interrupt.isSet, loadStart.timeIntervalSinceNow > 0 {
            try? await Task.sleep(for: .seconds(min(0.05, max(0, loadStart.timeIntervalSinceNow))))
        }
    }

    /// The error of a server that does not become ready.
    static func notReady(_ url: String) -> String {
        "\(url) is not ready; start the server, or set target.ready to the path that responds with 200"
            + " when it is."
    }

    /// Runs the load, sampling resources and writing records meanwhile.
    private func measure(
        _ state: LevelState, _ store: ImageStore, _ log: LoadRequestLog,
        _ sampler: ResourceSampler, _ result: inout LevelResult
    ) async throws {
        _ = http.resetPeakConnections()
        let sampling = Task.detached(priority: .background) { await sampler.run() }
        let lagWatch = http.watchLoop { lag in
            if state.phase == .hold { state.record(loopLag: lag) }
        }
        let writing = Task { try await write(state, log) }
        if !interrupt.isSet { try await load(state, store, &result) }
        lagWatch.cancel()
        sampling.cancel()
        await sampling.value
        writing.cancel()
        _ = try? await writing.value
        if let failure = state.hopelessFailure, !interrupt.isSet {
            let detail = failure.errorDetail.map { ": \($0.prefix(300))" } ?? ""
            throw RunError(
                "The first \(LevelState.hopelessCount) requests of level \(visit.visit.level) all"
                    + " failed, the first with \(failure.error?.rawValue ?? "a wrong image")\(detail);"
                    + " see the server's log, then correct the scenario or the server.")
        }
    }

    /// Saves the server's metrics before and after the level, and its log since `offset`.
    func saveServerFiles(
        _ before: String?, _ after: String?, _ offset: UInt64?, _ entries: [LevelState.Entry]
    ) async throws {
        for (text, file) in [
            (before, folder.metricsBeforeFile), (after, folder.metricsAfterFile),
        ] {
            if let text { try ResultFolder.write(Data(text.utf8), to: file) }
        }
        guard let offset else { return }
        let last = entries.last { $0.record.calls.last?.end != nil }?.record.calls.last?.id
        if let lines = await server.logLines(since: offset, lastID: last) {
            try ResultFolder.write(lines, to: folder.accessLogFile)
        }
    }

    /// Adds a note when the previews of a level cannot be attributed to requests.
    private func reportAmbiguousPreviews(_ result: inout LevelResult) {
        let load = visit.visit.load
        guard load.kind == .closed || load.kind == .single, dialect == .a1111,
            (load.users ?? 1) > 1, visit.mix.partialImages > 0
        else { return }
        result.notes.append(
            "previews are not recorded with more than one user: the progress of this dialect has no"
                + " request id")
    }

    /// Completes the result and writes it.
    func finish(_ result: inout LevelResult) throws -> LevelResult {
        result.end = clock.anchor
        result.isComplete = !interrupt.isSet
        try folder.write(result)
        return result
    }

    // MARK: Requests

    /// Sends a request and waits for its end.
    func send(
        _ parameters: RequestParameters, _ ticket: LevelState.Ticket, planned: Int64?,
        user: Int? = nil, purpose: LoadRequestRecord.Purpose = .load, repeats: String? = nil,
        id suffix: String? = nil, previous: [UInt8]? = nil, _ store: ImageStore
    ) async -> LevelState.Entry {
        let id =
            "\(run)-\(visit.visit.level)-r\(visit.visit.visit)-"
            + (suffix ?? String(ticket.sequence))
        let isAlone = ticket.isAlone && visit.visit.load.users ?? 1 == 1 && plan.part.isWhole
        let inputs = sources.inputs(
            parameters, previous: previous, isTransparent: dialect.hasTransparentMasks)
        let outcome = await driver.generate(
            DriverRequest(parameters, inputs: inputs, id: id, isAlone: isAlone))
        var times = outcome.times
        times.planned = planned ?? times.send
        var record = LoadRequestRecord(
            id: id, level: visit.visit.level, visit: visit.visit.visit, sequence: ticket.sequence,
            user: user, purpose: purpose, phase: ticket.phase, dialect: dialect,
            parameters: parameters, repeats: repeats, times: times, calls: outcome.calls,
            error: outcome.error, errorDetail: outcome.errorDetail, bodyBytes: outcome.bodyBytes,
            server: outcome.server)
        if let header = outcome.image?.header {
            record.image = ImageFacts(
                format: header.format, width: header.width, height: header.height, fileBytes: 0)
        }
        return LevelState.Entry(record: record, image: outcome.image.map(store.add))
    }

    /// One unmeasured request of each kind.
    private func prime(_ state: LevelState, _ store: ImageStore) async throws
        -> [LevelState.Entry]
    {
        var entries: [LevelState.Entry] = []
        for (index, parameters) in plan.primes(visit).enumerated() where !interrupt.isSet {
            let ticket = LevelState.Ticket(sequence: index, phase: .prime, isAlone: true)
            entries.append(
                await send(
                    parameters, ticket, planned: nil, purpose: .prime, id: "prime-\(index)", store))
        }
        // A load of requests that are all refused would only measure the refusals.
        if let first = entries.first?.record, !interrupt.isSet,
            entries.allSatisfy({ [.http4xx, .http5xx, .connect].contains($0.record.error) })
        {
            throw RunError(
                "no request of the kinds that this level sends returned an image; the first"
                    + " ended with \(first.error?.rawValue ?? "nothing")"
                    + (first.errorDetail.map { ": \($0)" } ?? ".")
                    + " Send one by hand, then correct the scenario or the server.")
        }
        return entries
    }

    // MARK: Writing

    /// Appends the records of completed requests once a second, so that a crash leaves them.
    private func write(_ state: LevelState, _ log: LoadRequestLog) async throws {
        var written = 0
        while true {
            let isLast = Task.isCancelled
            let entries = state.entries(from: written)
            written += entries.count
            for entry in entries { try log.append(entry.record) }
            try log.flush()
            if isLast { return }
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Fills the accounting from the records.
    private func count(
        _ records: [LoadRequestRecord], _ state: LevelState, _ result: inout LevelResult
    ) {
        result.accounting.count(records.filter { $0.purpose == .load })
        result.accounting.planned = state.planned
        result.accounting.dropped = state.dropped
    }
}

/// What a view of a running level shows beside its state.
public struct LevelView: Sendable {
    /// The level's key, for instance `closed-008`.
    public var level: String
    /// Number of users; closed loops only.
    public var users: Int?
    /// Latest end of the phase, nanoseconds of the clock.
    package var phaseEnd: Int64?
    /// The server's process id, if it runs on this machine.
    public var process: Int?
}

/// Why a run cannot continue, in one sentence.
public struct RunError: Error, CustomStringConvertible, Equatable {
    /// One sentence: what failed and what to do.
    public let description: String

    package init(_ description: String) { self.description = description }
}
