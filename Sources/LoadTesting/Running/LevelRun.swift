// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Transfers

/// One visit of a level, from waiting for the server to the checked images.
struct LevelRun: Sendable {
    let run: String
    let plan: RunPlan
    let visit: RunPlan.Visit
    let http: HTTPTester
    let driver: any Driver
    let dialect: Dialect
    let server: ServerSide
    let process: Int?
    let folder: LevelFolder
    let interrupt: Interrupt
    /// Told of each level's state, for the terminal.
    let watch: @Sendable (LevelState, LevelView) -> Void

    var clock: RunClock { http.clock }
    private var scenario: Scenario { plan.scenario }

    /// Runs the level; an interrupt ends it early, with what is there.
    func run(checker: ImageChecker) async throws -> LevelResult {
        var result = LevelResult(
            level: visit.visit.level, visit: visit.visit.visit, load: visit.visit.load,
            begin: clock.anchor)
        result.hold.asked = scenario.hold
        let state = LevelState(limit: visit.limit)
        let store = ImageStore(spill: folder.url.appending(path: "images.tmp"))
        let log = try LoadRequestLog(folder)
        defer {
            store.clear()
            try? log.close()
        }
        let offset = server.logOffset()

        // Ready and prime.
        var start = clock.now
        if !(await server.waitUntilReady(seconds: 600, interrupt: interrupt)), !interrupt.isSet {
            throw RunError(
                "\(server.target.url) is not ready; start the server, or name the path that"
                    + " answers 200 when it is, with target.ready.")
        }
        result.phases[Phase.ready.rawValue] = TimeRange(start: start, end: clock.now)
        start = clock.now
        var entries = try await prime(state, store)
        result.phases[Phase.prime.rawValue] = TimeRange(start: start, end: clock.now)
        let before = await server.quietMetrics()
        try save(before.text, folder.metricsBeforeFile)

        // The load.
        _ = http.takeMostConnections()
        let sampler = ResourceSampler(clock: clock, process: process)
        let sampling = Task.detached(priority: .background) { await sampler.run() }
        let lagWatch = http.watchLoop { lag in
            if state.phase == .hold { state.note(loopLag: lag) }
        }
        for entry in entries { try log.append(entry.record) }
        let writing = Task { try await write(state, log) }
        if !interrupt.isSet { try await load(state, store, &result) }
        lagWatch.cancel()
        sampling.cancel()
        await sampling.value
        writing.cancel()
        _ = try? await writing.value
        entries += state.entries()

        // The quiet point.
        let after = await server.quietMetrics()
        try save(after.text, folder.metricsAfterFile)
        if before.text != nil, !before.isQuiet || !after.isQuiet {
            result.notes.append(
                "the metrics were not read at a quiet point: the gauge"
                    + " inkstone_requests_in_flight was not there or not 0")
        }
        if let offset {
            let last = entries.last { $0.record.calls.last?.end != nil }?.record.calls.last?.id
            if let lines = await server.logLines(since: offset, lastID: last) {
                try ResultFolder.write(lines, to: folder.accessLogFile)
            }
        }

        // What came.
        let records = await checker.check(entries, store, visit)
        try write(records)
        count(records, state, &result)
        let held = result.held ?? TimeRange(start: clock.now, end: clock.now)
        result.resources = sampler.summary(held, loopLags: state.loopLags)
        result.resources.connectionsMax = http.takeMostConnections()
        try folder.write(
            SeriesBin.bins(records, phases: result.phases, samples: sampler.readings))
        result.end = clock.anchor
        result.isComplete = !interrupt.isSet
        if visit.visit.load.kind == .closed || visit.visit.load.kind == .single,
            dialect == .a1111, (visit.visit.load.users ?? 1) > 1, visit.mix.partialImages > 0
        {
            result.notes.append(
                "previews cannot be told apart with more than one user: the progress of this"
                    + " dialect names no request")
        }
        try folder.write(result)
        return result
    }

    // MARK: Requests

    /// Sends a request and waits for its end.
    func send(
        _ parameters: RequestParameters, _ ticket: LevelState.Ticket, planned: Int64?,
        user: Int? = nil, purpose: LoadRequestRecord.Purpose = .load, repeats: String? = nil,
        id suffix: String? = nil, _ store: ImageStore
    ) async -> LevelState.Entry {
        let id =
            "\(run)-\(visit.visit.level)-r\(visit.visit.visit)-"
            + (suffix ?? String(ticket.sequence))
        let isAlone = ticket.isAlone && visit.visit.load.users ?? 1 == 1
        let outcome = await driver.draw(parameters, id: id, isAlone: isAlone)
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
        // A load of requests that all are refused would measure nothing but the refusals.
        if let first = entries.first?.record, !interrupt.isSet,
            entries.allSatisfy({ [.http4xx, .http5xx, .connect].contains($0.record.error) })
        {
            throw RunError(
                "no request of the kinds that this level sends was answered with an image; the first"
                    + " ended with \(first.error?.rawValue ?? "nothing")"
                    + (first.errorDetail.map { ": \($0)" } ?? ".")
                    + " Try one by hand, then correct the scenario or the server.")
        }
        return entries
    }

    // MARK: Writing

    private func save(_ text: String?, _ file: URL) throws {
        if let text { try ResultFolder.write(Data(text.utf8), to: file) }
    }

    /// Appends what ended, once a second, so that a crash leaves it behind.
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

    /// Replaces the lines by those of the checked requests.
    private func write(_ records: [LoadRequestRecord]) throws {
        var data = Data()
        for record in records {
            data.append(try RecordCoding.line(record))
            data.append(UInt8(ascii: "\n"))
        }
        try ResultFolder.write(data, to: folder.requestsFile)
    }

    /// Fills the accounting from the records.
    private func count(
        _ records: [LoadRequestRecord], _ state: LevelState, _ result: inout LevelResult
    ) {
        let sent = records.filter { $0.purpose == .load }
        result.accounting.planned = state.planned
        result.accounting.dropped = state.dropped
        result.accounting.sent = sent.count
        result.accounting.valid = sent.count { $0.isValid }
        result.accounting.inFlightAtCut = sent.count { $0.error == .abortedByTester }
        result.accounting.failed =
            sent.count - result.accounting.valid - result.accounting.inFlightAtCut
    }
}

/// What the terminal shows of a level beside its state.
package struct LevelView: Sendable {
    /// For instance `closed-008`.
    package var level: String
    package var users: Int?
    /// When the phase ends at the latest, nanoseconds of the clock.
    package var phaseEnd: Int64?
    package var process: Int?
}

/// A run that cannot go on, in one sentence.
package struct RunError: Error, CustomStringConvertible, Equatable {
    package let description: String

    package init(_ description: String) { self.description = description }
}
