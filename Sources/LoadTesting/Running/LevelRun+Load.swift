// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension LevelRun {
    /// Runs the phases settle, hold and drain.
    func load(
        _ state: LevelState, _ store: ImageStore, _ result: inout LevelResult
    ) async throws {
        let start = clock.now
        let load = Task { await sendAll(state, store, from: start) }
        await settle(state, start, &result)
        await hold(state, &result)
        await drain(state, load, &result)
    }

    private var scenario: Scenario { plan.scenario }

    /// Sleeps until a moment, in short intervals, so that an interrupt is noticed.
    private func sleep(until time: Int64, _ state: LevelState) async {
        while !interrupt.isSet, state.isSending, !(state.isExhausted && state.inFlight == 0) {
            let left = time - clock.now
            guard left > 0 else { return }
            try? await Task.sleep(for: .nanoseconds(min(left, 50_000_000)))
        }
    }

    private func show(_ state: LevelState, until end: Int64?) {
        watch(
            state,
            LevelView(
                level: visit.visit.level, users: visit.visit.load.users, phaseEnd: end,
                process: process))
    }

    // MARK: Phases

    private func settle(_ state: LevelState, _ start: Int64, _ result: inout LevelResult) async {
        let longest = start + Int64(scenario.settle.maximum * 1e9)
        show(state, until: longest)
        var shortest = start + Int64(scenario.settle.minimum * 1e9)
        // A limited visit measures each of its requests.
        if visit.limit != nil { shortest = start }
        // The rates of a shape are planned from the end of the shortest settling.
        if visit.visit.load.profile != nil, plan.part.isWhole {
            await sleep(until: shortest, state)
        }
        // Generators that share a plan settle for the same time.
        if !plan.part.isWhole { await sleep(until: longest, state) }
        while visit.limit == nil, visit.visit.load.profile == nil, !interrupt.isSet,
            state.isSending, clock.now < longest
        {
            let completions = state.completions(since: start)
            if let mean = Self.mean(completions) {
                shortest = max(shortest, start + Int64(3 * mean))
            }
            if clock.now >= shortest,
                SteadyProbe.isSteady(
                    completions.map { Double($0.endToEnd) }, inFlight: state.inFlight)
            {
                result.settling.becameSteady = true
                break
            }
            await sleep(until: min(longest, clock.now + 100_000_000), state)
        }
        let end = clock.now
        result.settling.seconds = Double(end - start) / 1e9
        result.phases[Phase.settle.rawValue] = TimeRange(start: start, end: end)
    }

    private func hold(_ state: LevelState, _ result: inout LevelResult) async {
        state.enter(.hold)
        let start = clock.now
        while !interrupt.isSet, state.isSending {
            let needed = needed(state, since: result.phases[Phase.settle.rawValue]?.start ?? start)
            result.hold.needed = needed
            let planned = visit.visit.load.seconds ?? (plan.part.isWhole ? nil : scenario.hold)
            let seconds = planned ?? min(max(scenario.hold, needed), scenario.maximumHold)
            let end = visit.limit == nil ? start + Int64(seconds * 1e9) : .max
            show(state, until: visit.limit == nil ? end : nil)
            if clock.now >= end || state.isExhausted && state.inFlight == 0 { break }
            await sleep(until: min(end, clock.now + 500_000_000), state)
        }
        let end = clock.now
        result.hold.held = Double(end - start) / 1e9
        result.hold.wasCapped =
            visit.limit == nil && visit.visit.load.seconds == nil && plan.part.isWhole
            && result.hold.needed > scenario.maximumHold
        result.phases[Phase.hold.rawValue] = TimeRange(start: start, end: end)
    }

    /// Seconds for 200 images at the rate so far, or 20 times the mean E2E if that is more.
    private func needed(_ state: LevelState, since start: Int64) -> Double {
        let completions = state.completions(since: start)
        guard let mean = Self.mean(completions), completions.count > 1 else { return 0 }
        let rate = Double(completions.count) / (Double(clock.now - start) / 1e9)
        return max(200 / rate, 20 * mean / 1e9)
    }

    private func drain(
        _ state: LevelState, _ load: Task<Void, Never>, _ result: inout LevelResult
    ) async {
        let start = clock.now
        let times = state.completions(since: 0).map(\.endToEnd).sorted()
        let p99 = times.isEmpty ? 0 : times[(times.count * 99 - 1) / 100]
        let timeout = Int64(visit.mix.timeout * 1e9)
        // A limited visit stops automatically after its last request; the others are stopped here.
        state.stopSending()
        let end = start + max(3 * p99, timeout)
        show(state, until: end)
        while state.inFlight > 0, clock.now < end, !interrupt.isSet {
            try? await Task.sleep(for: .milliseconds(5))
        }
        if state.inFlight > 0 {
            load.cancel()
            result.notes.append(
                interrupt.isSet
                    ? "interrupted: requests in flight were cancelled"
                    : "the drain timed out: requests in flight were cancelled")
        }
        await load.value
        result.phases[Phase.drain.rawValue] = TimeRange(start: start, end: clock.now)
    }

    private static func mean(_ completions: [LevelState.Completion]) -> Double? {
        guard !completions.isEmpty else { return nil }
        return completions.reduce(0) { $0 + Double($1.endToEnd) } / Double(completions.count)
    }

    // MARK: Sending

    private func sendAll(_ state: LevelState, _ store: ImageStore, from start: Int64) async {
        switch visit.visit.load.kind {
        case .closed, .single, .probes:
            await withDiscardingTaskGroup { group in
                for user in 0..<(visit.visit.load.users ?? 1) where plan.part.contains(user) {
                    group.addTask { await self.user(user, state, store) }
                }
            }
        case .offline:
            while state.isSending, !Task.isCancelled {
                await withDiscardingTaskGroup { group in
                    let planned = clock.now
                    for _ in 0..<(visit.visit.load.batch ?? 1) {
                        guard let ticket = state.begin() else { return }
                        group.addTask { await self.send(ticket, planned, nil, state, store) }
                    }
                }
            }
        case .open, .trace:
            let total = visit.visit.load.maximumInFlight ?? 256
            let maximum = max(1, plan.part.share(of: total))
            let all = plan.arrivals(visit, seconds: plan.longestLoad)
            let positions = all.indices.filter(plan.part.contains)
            let times = positions.map { all[$0] + start }
            let moments = Pacer.moments(times, clock: clock) { !state.isSending }
            await withDiscardingTaskGroup { group in
                for await index in moments {
                    guard let ticket = state.arrive(positions[index], maximum: maximum) else {
                        continue
                    }
                    group.addTask { await self.send(ticket, times[index], nil, state, store) }
                }
            }
        }
    }

    /// Runs a user of a closed loop: sends the next request when the response is complete.
    ///
    /// In a session, each turn after the first changes the image of the turn before; a turn that fails ends it.
    private func user(_ user: Int, _ state: LevelState, _ store: ImageStore) async {
        var free = clock.now
        let turns = visit.mix.turns
        while !Task.isCancelled, let first = state.reserve(turns) {
            var previous: [UInt8]?
            for turn in 0..<turns {
                guard !Task.isCancelled, let ticket = state.begin(at: first + turn) else { return }
                let entry = await send(ticket, free, user, state, store, previous: previous)
                let record = entry.record
                free = record.times.end ?? clock.now
                // Prevents a busy loop when the server refuses immediately.
                if record.error == .connect || record.error == .rejected {
                    try? await Task.sleep(for: .milliseconds(100))
                    free = clock.now
                }
                guard turn + 1 < turns else { break }
                previous = entry.image.flatMap { store.image($0)?.decoded }
                guard record.error == nil, record.times.image != nil, previous != nil else { break }
                // The time to decode the image is not the server's.
                free = clock.now
            }
        }
    }

    /// Sends the request of a ticket and adds its record to the state.
    @discardableResult
    private func send(
        _ ticket: LevelState.Ticket, _ planned: Int64, _ user: Int?, _ state: LevelState,
        _ store: ImageStore, previous: [UInt8]? = nil
    ) async -> LevelState.Entry {
        let parameters = plan.parameters(visit, ticket.sequence)
        let entry = await send(
            parameters, ticket, planned: planned, user: user, previous: previous, store)
        state.finish(entry)
        return entry
    }
}
