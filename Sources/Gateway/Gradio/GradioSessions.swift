// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// The letter boxes of Gradio's clients.
///
/// A client submits any number of events and reads what becomes of all of them from one stream. What
/// is not read yet is kept: a client opens its stream after the first event, and anew after a while
/// without any.
final class GradioSessions: Sendable {
    /// Names of sessions and events are bounded, and so is what a client may leave unread.
    static let maximumMessages = 2000

    /// One event: a job and its last word.
    struct Event: Sendable {
        var session: String
        var job: String
        var isOver = false
    }

    private struct Box {
        var messages: [JSONValue] = []
        var pending: Set<String> = []
        /// Counts the readers; only the newest one gets messages.
        var reader = 0
        var bell: AsyncStream<Void>.Continuation?
    }

    private struct State {
        var boxes: [String: Box] = [:]
        var events: [String: Event] = [:]
    }

    private let state = Mutex(State())

    /// Notes a submitted event.
    func begin(_ id: String, job: String, session: String) {
        state.withLock { state in
            state.events[id] = Event(session: session, job: job)
            state.boxes[session, default: Box()].pending.insert(id)
        }
    }

    /// The event of an id.
    func event(_ id: String) -> Event? { state.withLock { $0.events[id] } }

    /// Puts a message into the box of an event's session; `isLast` ends the event.
    func post(_ message: JSONValue, of id: String, isLast: Bool = false) {
        state.withLock { state in
            guard let event = state.events[id] else { return }
            var box = state.boxes[event.session, default: Box()]
            if box.messages.count < Self.maximumMessages || isLast { box.messages.append(message) }
            if isLast {
                box.pending.remove(id)
                state.events[id] = nil
            }
            box.bell?.yield()
            state.boxes[event.session] = box
        }
    }

    /// Opens a session's stream.
    ///
    /// - Returns: rings when there is something to `take`; the number tells readers apart.
    func open(_ session: String) -> (number: Int, bell: AsyncStream<Void>) {
        let (bell, ringer) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state in
            var box = state.boxes[session, default: Box()]
            box.bell?.finish()
            box.bell = ringer
            box.reader += 1
            state.boxes[session] = box
            return box.reader
        }
        ringer.yield()
        return (number, bell)
    }

    /// The messages that wait, and whether nothing more will come.
    func take(_ session: String) -> (messages: [JSONValue], isDone: Bool) {
        state.withLock { state in
            guard var box = state.boxes[session] else { return ([], true) }
            let messages = box.messages
            box.messages = []
            state.boxes[session] = box
            return (messages, box.pending.isEmpty)
        }
    }

    /// Closes a reader's stream; the jobs of a client that has gone are returned.
    func close(_ session: String, _ number: Int) -> [String] {
        state.withLock { state in
            guard var box = state.boxes[session], box.reader == number else { return [] }
            box.bell?.finish()
            box.bell = nil
            let abandoned = box.pending.compactMap { state.events[$0]?.job }
            state.boxes[session] = box.pending.isEmpty && box.messages.isEmpty ? nil : box
            return abandoned
        }
    }

    /// Whether somebody reads a session's stream.
    func hasReader(_ session: String) -> Bool {
        state.withLock { $0.boxes[session]?.bell != nil }
    }
}
