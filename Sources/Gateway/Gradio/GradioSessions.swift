// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Service
import Synchronization

/// The message queues of Gradio's clients.
///
/// A client submits any number of events and reads the messages of all of them from one stream. Unread
/// messages are retained: a client opens its stream after the first event, and again after a pause.
final class GradioSessions: Sendable {
    /// Unread messages of one client; more are dropped, except the last one of each event.
    static let maximumMessages = 2000

    /// A client's session: owners may choose the same name.
    struct Session: Sendable, Hashable {
        var owner: String?
        var name: String
    }

    /// One event: a job of a session.
    struct Event: Sendable {
        var session: Session
        var job: String
    }

    private struct Box {
        var messages: [JSONValue] = []
        var pending: Set<String> = []
        /// Number of the newest reader, which alone gets messages.
        var reader = 0
        var signal: AsyncStream<Void>.Continuation?
    }

    private struct State {
        var boxes: [Session: Box] = [:]
        var events: [String: Event] = [:]
    }

    private let state = Mutex(State())

    /// Adds a submitted event.
    func begin(_ id: String, job: String, session: Session) {
        state.withLock { state in
            state.events[id] = Event(session: session, job: job)
            state.boxes[session, default: Box()].pending.insert(id)
        }
    }

    /// The event of an id, unless it is of an owner that the access does not include.
    func event(_ id: String, for access: JobAccess) -> Event? {
        guard let event = state.withLock({ $0.events[id] }), access.permits(event.session.owner)
        else { return nil }
        return event
    }

    /// Appends a message to the queue of an event's session; `isLast` ends the event.
    func post(_ message: JSONValue, of id: String, isLast: Bool = false) {
        state.withLock { state in
            guard let event = state.events[id] else { return }
            var box = state.boxes[event.session, default: Box()]
            if box.messages.count < Self.maximumMessages || isLast { box.messages.append(message) }
            if isLast {
                box.pending.remove(id)
                state.events[id] = nil
            }
            box.signal?.yield()
            state.boxes[event.session] = box
        }
    }

    /// Opens a session's stream.
    ///
    /// - Returns: the number of the reader, and a stream that yields when there are messages to `dequeue`.
    func open(_ session: Session) -> (number: Int, signals: AsyncStream<Void>) {
        let (signals, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state in
            var box = state.boxes[session, default: Box()]
            box.signal?.finish()
            box.signal = signal
            box.reader += 1
            state.boxes[session] = box
            return box.reader
        }
        signal.yield()
        return (number, signals)
    }

    /// Removes and returns the unread messages, and whether no more will follow.
    func dequeue(_ session: Session) -> (messages: [JSONValue], isDone: Bool) {
        state.withLock { state in
            guard var box = state.boxes[session] else { return ([], true) }
            let messages = box.messages
            box.messages = []
            state.boxes[session] = box
            return (messages, box.pending.isEmpty)
        }
    }

    /// Closes a reader's stream.
    ///
    /// - Returns: the unfinished jobs of the client.
    func close(_ session: Session, _ number: Int) -> [String] {
        state.withLock { state in
            guard var box = state.boxes[session], box.reader == number else { return [] }
            box.signal?.finish()
            box.signal = nil
            let jobs = box.pending.compactMap { state.events[$0]?.job }
            state.boxes[session] = box.pending.isEmpty && box.messages.isEmpty ? nil : box
            return jobs
        }
    }

    /// Whether a client reads a session's stream.
    func hasReader(_ session: Session) -> Bool {
        state.withLock { $0.boxes[session]?.signal != nil }
    }
}
