// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Synchronization

/// Delivers the events of a request to a client that may read slowly or disconnect.
///
/// The engine's stream is drained at once; undelivered events are buffered here, so that a stalled client does
/// not stall other requests.
package enum EventRelay {
    /// An item for delivery.
    package enum Item: Sendable {
        /// An event of the request.
        case event(JobEvent)
        /// No event for a while: the connection needs a keep-alive.
        case keepAlive
    }

    /// The previews that a client gets.
    package enum Previews: Sendable {
        /// Of the buffered previews, only the newest of each image: a slow client needs a bounded
        /// amount of memory and is never behind. Other events are never dropped.
        case newest
        /// Those that the function selects, all of them: it must select few.
        case picked(@Sendable (_ image: Int, _ step: Int) -> Bool)
    }

    /// Delivers all events.
    ///
    /// Cancelling the task, or throwing from `deliver`, ends the iteration of `events` and with it
    /// the work behind them.
    ///
    /// - Throws: the error of the events or of `deliver`, or `CancellationError`.
    package static func run(
        _ events: JobEventStream,
        previews: Previews = .newest,
        keepAlive interval: Duration,
        deliver: (Item) async throws -> Void
    ) async throws {
        let waiting = WaitingEvents(previews)
        let (bell, ringer) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { ringer.finish() }
                for try await event in events {
                    waiting.add(.event(event))
                    ringer.yield()
                }
            }
            group.addTask {
                while true {
                    try await Task.sleep(for: interval)
                    waiting.add(.keepAlive)
                    ringer.yield()
                }
            }
            for await _ in bell {
                for item in waiting.drain() { try await deliver(item) }
            }
            for item in waiting.drain() { try await deliver(item) }
            // The first task to end is the one that drains the events: the clock never ends.
            try await group.next()
            group.cancelAll()
        }
    }
}

/// The buffer of undelivered items.
package final class WaitingEvents: Sendable {
    private let items = Mutex<[EventRelay.Item]>([])
    private let previews: EventRelay.Previews

    /// An empty buffer.
    package init(_ previews: EventRelay.Previews = .newest) {
        self.previews = previews
    }

    /// Appends an item, unless it is a preview that the client does not get, or a keep-alive while the buffer
    /// is not empty.
    package func add(_ item: EventRelay.Item) {
        items.withLock { items in
            switch item {
            case .keepAlive:
                guard items.isEmpty else { return }
            case .event(.preview(let image, let step, _)):
                switch previews {
                case .newest:
                    items.removeAll {
                        if case .event(.preview(image, _, _)) = $0 { true } else { false }
                    }
                case .picked(let isPicked):
                    guard isPicked(image, step) else { return }
                }
            case .event:
                break
            }
            items.append(item)
        }
    }

    /// Removes and returns all items, in order.
    package func drain() -> [EventRelay.Item] {
        items.withLock { items in
            defer { items.removeAll() }
            return items
        }
    }
}
