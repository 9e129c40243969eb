// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Synchronization

/// Carries a request's events to a client that may read slowly or go away.
///
/// The engine's stream is drained at once; what the client has not taken yet waits here, so that a
/// stalled client stalls nobody else.
package enum EventRelay {
    /// What is delivered.
    package enum Item: Sendable {
        /// Something happened.
        case event(JobEvent)
        /// Nothing happened for a while; the connection wants a sign of life.
        case keepAlive
    }

    /// Which previews a client gets.
    package enum Previews: Sendable {
        /// Of those that wait, only the newest of each picture: a slow client costs a bounded
        /// amount of memory and is never behind. Nothing but previews is ever dropped.
        case newest
        /// Those that the function picks, all of them: it must pick few.
        case picked(@Sendable (_ image: Int, _ step: Int) -> Bool)
    }

    /// Delivers everything until the last event.
    ///
    /// Cancelling the task, or throwing from `deliver`, ends the iteration of `events` and with it
    /// the work behind them.
    ///
    /// - Throws: what the events end with, what `deliver` throws, or `CancellationError`.
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
                for item in waiting.takeAll() { try await deliver(item) }
            }
            for item in waiting.takeAll() { try await deliver(item) }
            // The first task to end is the one that drains the events: the clock never ends.
            try await group.next()
            group.cancelAll()
        }
    }
}

/// What waits for delivery.
package final class WaitingEvents: Sendable {
    private let items = Mutex<[EventRelay.Item]>([])
    private let previews: EventRelay.Previews

    /// Nothing waits.
    package init(_ previews: EventRelay.Previews = .newest) {
        self.previews = previews
    }

    /// Appends an item, unless it is a preview that the client does not get or a keep-alive while
    /// anything else waits.
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

    /// Everything that waits, in order.
    package func takeAll() -> [EventRelay.Item] {
        items.withLock { items in
            defer { items.removeAll() }
            return items
        }
    }
}
