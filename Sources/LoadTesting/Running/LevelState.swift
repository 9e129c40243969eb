// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// The state that the users of a level share.
///
/// Its lock is held for nanoseconds, never while a request is in flight.
final class LevelState: Sendable {
    /// The end of a request.
    struct Completion: Sendable {
        var end: Int64
        var endToEnd: Int64
        var firstPreview: Int64?
        var error: ErrorClass?
    }

    /// A record and its image, if one was received.
    struct Entry: Sendable {
        var record: LoadRequestRecord
        var image: ImageStore.Token?
    }

    /// The permission to send a request.
    struct Ticket: Sendable {
        var sequence: Int
        var phase: Phase
        /// Whether no other request was in flight.
        var isAlone: Bool
    }

    fileprivate struct State {
        var phase = Phase.settle
        var isSending = true
        var next = 0
        var planned = 0
        var dropped = 0
        var inFlight = 0
        var entries: [Entry] = []
        var completions: [Completion] = []
        var loopLags: [Double] = []
        var hasImage = false
        /// The failures among the first requests that were sent.
        var firstFailures: [LoadRequestRecord] = []
        var isHopeless: Bool { !hasImage && firstFailures.count >= LevelState.hopelessCount }
    }

    /// A level whose first requests all fail is stopped after this number.
    static let hopelessCount = 20

    private let state = Mutex(State())
    private let limit: Int
    private let numbering: PlanNumbering

    /// - Parameters:
    ///   - limit: maximum number of requests.
    ///   - numbering: the positions of the requests that `begin` and `reserve` issue.
    init(limit: Int?, numbering: PlanNumbering = PlanNumbering()) {
        self.limit = limit ?? .max
        self.numbering = numbering
    }

    // MARK: The load

    /// Issues the ticket of the next request of a closed loop; `nil` when sending has stopped.
    func begin() -> Ticket? {
        state.withLock { state -> Ticket? in
            guard state.isSending, state.next < limit else { return nil }
            state.next += 1
            return state.issueTicket(numbering.position(state.next - 1))
        }
    }

    /// Reserves the requests of a session; returns the position of the first, `nil` when sending has stopped.
    func reserve(_ turns: Int) -> Int? {
        state.withLock { state -> Int? in
            guard state.isSending, state.next < limit else { return nil }
            state.next += turns
            return numbering.position(state.next - turns)
        }
    }

    /// Issues the ticket of a reserved position; `nil` when sending has stopped.
    func begin(at position: Int) -> Ticket? {
        state.withLock { state -> Ticket? in
            state.isSending ? state.issueTicket(position) : nil
        }
    }

    /// Issues the ticket of a planned arrival; `nil` when it is dropped because the maximum is in flight.
    func arrive(_ sequence: Int, maximum: Int) -> Ticket? {
        state.withLock { state -> Ticket? in
            guard state.isSending, sequence < limit else { return nil }
            guard state.inFlight < maximum else {
                state.planned += 1
                state.dropped += 1
                return nil
            }
            state.next = sequence + 1
            return state.issueTicket(sequence)
        }
    }

    /// Records the end of a request.
    func finish(_ entry: Entry) {
        let record = entry.record
        state.withLock { state in
            state.inFlight -= 1
            state.entries.append(entry)
            if record.error == nil, record.times.image != nil {
                state.hasImage = true
            } else if numbering.number(record.sequence) < Self.hopelessCount,
                record.error != .abortedByTester
            {
                state.firstFailures.append(record)
                if state.isHopeless { state.isSending = false }
            }
            guard let end = record.times.end else { return }
            state.completions.append(
                Completion(
                    end: end, endToEnd: end - record.times.send,
                    firstPreview: record.times.previews.first.map { $0 - record.times.send },
                    error: record.error))
        }
    }

    // MARK: The level

    /// Starts a phase.
    func enter(_ phase: Phase) { state.withLock { $0.phase = phase } }

    /// Stops sending and starts the drain.
    func stopSending() {
        state.withLock { state in
            state.isSending = false
            state.phase = .drain
        }
    }

    var isSending: Bool { state.withLock { $0.isSending } }
    var phase: Phase { state.withLock { $0.phase } }
    var inFlight: Int { state.withLock { $0.inFlight } }
    var planned: Int { state.withLock { $0.planned } }
    var dropped: Int { state.withLock { $0.dropped } }
    var isExhausted: Bool { state.withLock { $0.next >= limit } }

    /// The first failure of a level whose first requests all failed; `nil` for other levels.
    var hopelessFailure: LoadRequestRecord? {
        state.withLock { state in
            state.isHopeless ? state.firstFailures.min { $0.sequence < $1.sequence } : nil
        }
    }

    /// The entries from `index` on.
    func entries(from index: Int = 0) -> [Entry] { state.withLock { Array($0.entries[index...]) } }

    /// The completions since a moment, the oldest first.
    func completions(since time: Int64) -> [Completion] {
        state.withLock { state in
            let first = state.completions.lastIndex { $0.end < time }.map { $0 + 1 } ?? 0
            return Array(state.completions[first...])
        }
    }

    /// Records the delay of a timer of the event loop, in ms.
    func record(loopLag: Double) { state.withLock { $0.loopLags.append(loopLag) } }

    var loopLags: [Double] { state.withLock { $0.loopLags } }
}

extension LevelState.State {
    fileprivate mutating func issueTicket(_ position: Int) -> LevelState.Ticket {
        defer {
            planned += 1
            inFlight += 1
        }
        return LevelState.Ticket(sequence: position, phase: phase, isAlone: inFlight == 0)
    }
}
