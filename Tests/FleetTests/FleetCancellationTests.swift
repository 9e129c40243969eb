// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Catalog
    import Engine
    import Fleet
    import Logging
    import Parameters
    import Service
    import Testing

    /// A generator whose third step lasts until it is cancelled.
    private final class SteppingGenerator: ImageGenerating {
        /// The number of each step that begins.
        let steps: AsyncStream<Int>
        /// The number of the step in which the request was cancelled.
        let cancellations: AsyncStream<Int>
        private let began: AsyncStream<Int>.Continuation
        private let cancelled: AsyncStream<Int>.Continuation

        init() {
            (steps, began) = AsyncStream.makeStream()
            (cancellations, cancelled) = AsyncStream.makeStream()
        }

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
    }

    /// A job of a fleet whose client leaves.
    @Suite(
        .enabled(
            if: LiveServer.program != nil,
            "nats-server is not installed; apt install nats-server adds it."),
        .timeLimit(.minutes(5)))
    struct FleetCancellationTests {
        @Test("a client that leaves cancels its job within the step in progress, over NATS")
        func withinOneStep() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let generator = SteppingGenerator()
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let model = ModelDescription.small
            let worker = FleetWorker(
                engine: FleetEngine(
                    model: model, generator: generator, loras: LoRARegistry(), capacity: 1
                ) {
                    WorkerStatus(
                        state: .ready, pid: 1, loaded: 1, memoryBytes: 0, running: 0, waiting: 0,
                        passes: PassTotals(), model: model)
                }, store: server.store, logger: logger)
            let running = Task { try await worker.run(grace: .zero) }
            let queue = FleetQueue(
                server.store, presence: WorkerPresence(server.store, gateway: "test"),
                meter: EngineMeter(ServiceTelemetry(version: "1").engine), gateway: "test",
                logger: logger)
            while await !queue.isReachable { try await Task.sleep(for: .milliseconds(10)) }
            var draft = ImageRequest.Draft(prompt: "a fish")
            draft.steps = 20
            let request = try ImageRequest(draft, for: model)
            let reading = Task {
                for try await _ in queue.events(for: request, model: model.id) {}
            }
            for await step in generator.steps where step == 3 { break }
            reading.cancel()
            for await step in generator.cancellations {
                #expect(step == 3)
                break
            }
            await #expect(throws: CancellationError.self) { try await reading.value }
            worker.drain()
            try await running.value
        }
    }
#endif
