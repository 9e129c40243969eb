// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Catalog
    import Engine
    import Fleet
    import Logging
    import Parameters
    import Service
    import Testing

    /// A generator that ends without an image.
    private struct EmptyGenerator: ImageGenerating {
        func events(for request: ImageRequest, model: String) -> JobEventStream {
            JobEventStream([.started])
        }
    }

    /// How jobs of a fleet end, and what their callers receive.
    @Suite(
        .enabled(
            if: LiveServer.program != nil,
            "nats-server is not installed; apt install nats-server adds it."),
        .timeLimit(.minutes(5)))
    struct FleetEndTests {
        private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        private let model = ModelDescription.small

        private func queue(_ server: LiveServer) async throws -> FleetQueue {
            let queue = FleetQueue(
                server.store, presence: WorkerPresence(server.store, gateway: "test"),
                meter: EngineMeter(ServiceTelemetry(version: "1").engine), gateway: "test",
                logger: logger)
            while await !queue.isReachable { try await Task.sleep(for: .milliseconds(10)) }
            return queue
        }

        private func submit(_ submission: Submission, to queue: FleetQueue) async throws -> Job {
            var draft = ImageRequest.Draft(prompt: "a fish")
            draft.seed = 1
            return try await queue.submit(
                try ImageRequest(draft, for: model), model: model.id, submission, onEnd: {})
        }

        /// The error that ends a job's events.
        private func failure(of id: String, in queue: FleetQueue) async throws -> (any Error)? {
            let events = try #require(try await queue.watch(id, for: .all))
            do {
                for try await _ in events {}
                return nil
            } catch {
                return error
            }
        }

        @Test(
            "a key stands for its failure, unless the answer was to try again",
            arguments: [GenerationError.Code.numeric, .deadline, .workerLost, .storage])
        func keys(code: GenerationError.Code) async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let queue = try await queue(server)
            let submission = Submission(owner: "ann", idempotencyKey: "k", fingerprint: "f")
            let first = try await submit(submission, to: queue)
            #expect(try await submit(submission, to: queue).id == first.id)
            let known = try #require(try await server.store.job(first.id)?.job)
            let expected = GenerationError(code, "It went wrong.")
            #expect(try await server.store.end(known, JobEnd(.failure(expected))))
            #expect(try await failure(of: first.id, in: queue) as? GenerationError == expected)
            let next = try await submit(submission, to: queue)
            #expect((next.id == first.id) == !code.isTransient)
            if code.isTransient {
                #expect(try await submit(submission, to: queue).id == next.id)
            }
            var other = submission
            other.fingerprint = "g"
            await #expect(throws: JobStoreError.self) { _ = try await submit(other, to: queue) }
        }

        @Test("a gateway that stops reports to all who wait, and cancels their jobs alone")
        func stop() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let queue = try await queue(server)
            let waiting = try await submit(Submission(), to: queue)
            let detached = try await submit(Submission(isDetached: true), to: queue)
            async let first = failure(of: waiting.id, in: queue)
            async let second = failure(of: detached.id, in: queue)
            await queue.stop()
            #expect(try await first as? GenerationError == JobService.stopped)
            #expect(try await second as? GenerationError == JobService.stopped)
            let job = try #require(try await server.store.job(waiting.id)?.job)
            #expect(job.state == .cancelled && job.failureCode == "serverStopped")
            #expect(try await server.store.job(detached.id)?.job.state == .queued)
        }

        @Test("an engine that ends without an image fails its job")
        func noImage() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let model = model
            let worker = FleetWorker(
                engine: FleetEngine(
                    model: model, generator: EmptyGenerator(), loras: LoRARegistry(), capacity: 1
                ) {
                    WorkerStatus(
                        state: .ready, pid: 1, loaded: 1, memoryBytes: 0, running: 0, waiting: 0,
                        passes: PassTotals(), model: model)
                }, store: server.store, logger: logger)
            let running = Task { try await worker.run(grace: .zero) }
            let queue = try await queue(server)
            let job = try await submit(Submission(isDetached: true), to: queue)
            let error = try await failure(of: job.id, in: queue) as? GenerationError
            #expect(error?.code == .internalFailure)
            worker.drain()
            try await running.value
        }
    }
#endif
