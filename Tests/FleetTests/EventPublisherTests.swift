// Part of Inkstone. Licence: see LICENSE.

import Engine
import Fleet
import Imaging
import Service
import Synchronization
import Testing

/// Events that share messages.
struct EventPublisherTests {
    private final class Post: Sendable {
        let messages = Mutex<[[JobEvent]]>([])

        func publisher(_ pause: Duration) -> EventPublisher {
            EventPublisher(pause: pause) { bytes, number in
                self.messages.withLock { messages in
                    #expect(number == messages.count)
                    messages.append((try? EventBytes.decode(bytes)) ?? [])
                }
            }
        }

        var counts: [Int] { messages.withLock { $0.map(\.count) } }
    }

    private func step(_ number: Int) -> JobEvent {
        .step(image: 0, step: number, steps: 9, seconds: 0)
    }

    @Test func theFirstPreviewComesAtOnceAndTheRestTogether() throws {
        let post = Post()
        let publisher = post.publisher(.seconds(60))
        let picture = try RGBImage(width: 1, height: 1, pixels: [1, 2, 3])
        publisher.publish(.started)
        #expect(post.counts == [1])
        publisher.publish(step(1))
        #expect(post.counts == [1])
        publisher.publish(.preview(image: 0, step: 1, picture))
        #expect(post.counts == [1, 2])
        for number in 2...4 {
            publisher.publish(step(number))
            publisher.publish(.preview(image: 0, step: number, picture))
        }
        publisher.flush()
        publisher.flush()
        #expect(post.counts == [1, 2, 6])
        let published = post.messages.withLock { $0.flatMap(\.self) }
        let steps = published.compactMap {
            if case .step(_, let step, _, _) = $0 { step } else { nil }
        }
        #expect(steps == [1, 2, 3, 4], "none is lost, and their order stays")
    }

    @Test(.timeLimit(.minutes(5))) func nothingWaitsForTheNext() async throws {
        let post = Post()
        let publisher = post.publisher(.milliseconds(10))
        publisher.publish(.started)
        publisher.publish(step(1))
        while post.counts.count < 2 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(post.counts == [1, 1])
    }
}
