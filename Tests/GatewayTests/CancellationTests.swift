// Part of Inkstone. Licence: see LICENSE.

import Engine
import Parameters
import Synchronization
import Testing

/// A generator whose third step lasts until it is cancelled.
private final class SteppingGenerator: ImageGenerating, ModelListing {
    let list: [ModelDescription]
    /// The number of each step that begins.
    let steps: AsyncStream<Int>
    /// The number of the step in which the request was cancelled.
    let cancellations: AsyncStream<Int>
    private let began: AsyncStream<Int>.Continuation
    private let cancelled: AsyncStream<Int>.Continuation

    init() throws {
        list = [try .tiny()]
        (steps, began) = AsyncStream.makeStream()
        (cancellations, cancelled) = AsyncStream.makeStream()
    }

    var models: [ModelDescription] { get async { list } }

    func events(for request: ImageRequest, model: String) -> JobEventStream {
        JobEventStream { [began, cancelled] feed in
            feed.yield(.started)
            for step in 1...request.steps {
                began.yield(step)
                do {
                    if step == 3 { try await Task.sleep(for: .seconds(3600)) }
                } catch {
                    cancelled.yield(step)
                    throw error
                }
                feed.yield(.step(image: 0, step: step, steps: request.steps, seconds: 0.1))
            }
        }
    }

    /// Waits until the third step has begun.
    var third: AsyncStream<Void> {
        AsyncStream { continuation in
            let task = Task {
                for await step in steps where step == 3 { break }
                continuation.yield()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}

@Suite("A client that closes its connection", .timeLimit(.minutes(5)))
struct CancellationTests {
    @Test(
        "cancels its request within the step in progress, in every dialect",
        arguments: [
            ("/v1/images/generations", #"{"prompt": "p", "steps": 20}"#),
            ("/v1/images/generations", #"{"prompt": "p", "steps": 20, "stream": true}"#),
            ("/sdapi/v1/txt2img", #"{"prompt": "p", "steps": 20}"#),
        ])
    func withinOneStep(path: String, body: String) async throws {
        let generator = try SteppingGenerator()
        try await withGateway(generator) { client in
            try await hangUp(
                port: client.port,
                after: "POST \(path) HTTP/1.1\r\nHost: localhost\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)",
                when: generator.third)
            for await step in generator.cancellations {
                #expect(step == 3)
                break
            }
        }
    }
}
