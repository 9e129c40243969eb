// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// What the two ends of a `JobEventStream` share.
final class EventBuffer: Sendable {
    /// Functions that are called as events are produced.
    struct Observer: Sendable {
        let onEvent: @Sendable (JobEvent) -> Void
        let onEnd: @Sendable (JobEventStream.End) -> Void
    }

    private struct State {
        /// Events that wait for the reader, the oldest first.
        var events: [JobEvent] = []
        /// Those among them that may be dropped.
        var droppable = 0
        var end: JobEventStream.End?
        /// A reader that waits for an event.
        var reader: CheckedContinuation<JobEvent?, any Error>?
        var observers: [Observer] = []
        var onCancel: (@Sendable () -> Void)?

        /// Appends an event and drops the oldest of too many.
        mutating func append(_ event: JobEvent) {
            events.append(event)
            guard event.isDroppable else { return }
            droppable += 1
            guard droppable > JobEventStream.bufferLimit,
                let oldest = events.firstIndex(where: \.isDroppable)
            else { return }
            events.remove(at: oldest)
            droppable -= 1
        }

        mutating func dequeue() -> JobEvent? {
            guard !events.isEmpty else { return nil }
            let event = events.removeFirst()
            if event.isDroppable { droppable -= 1 }
            return event
        }

        /// Ends the stream; the observers are notified before anything else follows.
        mutating func end(_ reason: JobEventStream.End) {
            end = reason
            for observer in observers { observer.onEnd(reason) }
            observers = []
        }
    }

    private let state = Mutex(State())

    /// Whether nothing more can be yielded.
    var isEnded: Bool { state.withLock { $0.end != nil } }

    func observe(_ observer: Observer) {
        state.withLock { state in
            for event in state.events { observer.onEvent(event) }
            if let end = state.end { observer.onEnd(end) } else { state.observers.append(observer) }
        }
    }

    func yield(_ event: JobEvent) {
        let reader = state.withLock { state -> CheckedContinuation<JobEvent?, any Error>? in
            guard state.end == nil else { return nil }
            for observer in state.observers { observer.onEvent(event) }
            guard let reader = state.reader else {
                state.append(event)
                return nil
            }
            state.reader = nil
            return reader
        }
        reader?.resume(returning: event)
    }

    func finish(throwing error: (any Error)?) {
        let reader = state.withLock { state -> CheckedContinuation<JobEvent?, any Error>? in
            guard state.end == nil else { return nil }
            state.end(
                error.map { $0 is CancellationError ? .cancelled : .failed($0) } ?? .ok)
            state.onCancel = nil
            defer { state.reader = nil }
            return state.reader
        }
        guard let reader else { return }
        if let error { reader.resume(throwing: error) } else { reader.resume(returning: nil) }
    }

    /// Ends the stream from the reader's side.
    func cancel() {
        let (reader, onCancel) = state.withLock { state in
            guard state.end == nil else {
                return (nil, nil)
                    as (CheckedContinuation<JobEvent?, any Error>?, (@Sendable () -> Void)?)
            }
            state.end(.cancelled)
            (state.events, state.droppable) = ([], 0)
            defer { (state.reader, state.onCancel) = (nil, nil) }
            return (state.reader, state.onCancel)
        }
        onCancel?()
        reader?.resume(throwing: CancellationError())
    }

    func onCancel(_ cancel: @escaping @Sendable () -> Void) {
        let isCancelled = state.withLock { state in
            switch state.end {
            case nil: state.onCancel = cancel
            case .cancelled: return true
            case .ok, .failed: break
            }
            return false
        }
        if isCancelled { cancel() }
    }

    /// The next event, or `nil` at the end.
    func next() async throws -> JobEvent? {
        try await withTaskCancellationHandler {
            try Task.checkCancellation()
            return try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { state -> Result<JobEvent?, any Error>? in
                    if let event = state.dequeue() { return .success(event) }
                    switch state.end {
                    case .ok: return .success(nil)
                    case .cancelled: return .failure(CancellationError())
                    case .failed(let error): return .failure(error)
                    case nil:
                        precondition(state.reader == nil, "a stream of events has one reader")
                        state.reader = continuation
                        return nil
                    }
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            cancel()
        }
    }
}
