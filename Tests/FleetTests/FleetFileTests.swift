// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Basics
    import Engine
    import Fleet
    import Foundation
    import Imaging
    import Logging
    import Parameters
    import Service
    import Testing

    /// The files of a fleet's jobs in NATS.
    @Suite(
        .enabled(
            if: LiveServer.program != nil,
            "nats-server is not installed; apt install nats-server adds it."),
        .timeLimit(.minutes(5)))
    struct FleetFileTests {
        private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

        private func queue(_ server: LiveServer) async throws -> FleetQueue {
            let queue = FleetQueue(
                server.store, presence: WorkerPresence(server.store, gateway: "test"),
                meter: EngineMeter(ServiceTelemetry(version: "1").engine), gateway: "test",
                logger: logger)
            while await !queue.isReachable { try await Task.sleep(for: .milliseconds(10)) }
            return queue
        }

        /// Stores a job that has succeeded with an image, as a worker does.
        private func finish(
            _ id: String, _ file: StoredFile, source: StoredFile? = nil, _ server: LiveServer,
            _ queue: FleetQueue
        ) async throws {
            var job = FleetJob(
                id: id, model: "m",
                request: ImageRequest(
                    parameters: SamplingParameters(
                        prompt: "p", size: PixelSize(width: 16, height: 16), steps: 1), count: 1),
                created: Date().timeIntervalSince1970)
            job.source = source.map { FleetJob.Source(image: $0, strength: 0.5) }
            job.state = .succeeded
            job.finished = Date().timeIntervalSince1970
            job.images = [
                FleetJob.Image(
                    index: 0, seed: 1, pixelDigest: "", file: file, promptTruncated: false,
                    seconds: Timings(text: 0, steps: [], decode: 0, total: 0), loras: [])
            ]
            try await server.store.jobs.set(id, try job.encoded, after: 0)
            while try await queue.job(id, for: .all) == nil {
                try await Task.sleep(for: .milliseconds(5))
            }
        }

        private func waitUntilRemoved(_ file: StoredFile, _ server: LiveServer) async throws {
            while try await server.store.read(file) != nil {
                try await Task.sleep(for: .milliseconds(10))
            }
        }

        @Test("files go with their last job, sources too; one that a worker stores meanwhile stays")
        func removal() async throws {
            var settings = FleetSettings()
            settings.removalDelay = 0.3
            let server = try await LiveServer(settings)
            defer { server.stop() }
            let queue = try await queue(server)
            // Longer than a message.
            let shared = try await server.store.store([UInt8](repeating: 1, count: 600 << 10))
            let other = try await server.store.store([2])
            let source = try await server.store.store([3])
            try await finish("job-a", shared, source: source, server, queue)
            try await finish("job-b", other, source: source, server, queue)

            // A worker has stored an equal image; its job is not there yet when the last one is removed.
            _ = try await server.store.store([UInt8](repeating: 1, count: 600 << 10))
            #expect(try await queue.remove("job-a", for: .all))
            try await finish("job-c", shared, server, queue)
            #expect(try await queue.remove("job-b", for: .all))
            try await waitUntilRemoved(other, server)
            try await waitUntilRemoved(source, server)
            #expect(try await server.store.read(shared) != nil)

            #expect(try await queue.remove("job-c", for: .all))
            try await waitUntilRemoved(shared, server)
            #expect(try await server.store.messages(of: shared).isEmpty)
        }

        @Test("a source is described by its files and read when it is asked for")
        func source() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let queue = try await queue(server)
            let png = try ImageEncoder.encode(
                try RGBImage(width: 16, height: 16, filledWith: (1, 2, 3)))
            let source = try await server.store.store(png)
            try await finish("job-a", source, source: source, server, queue)
            let job = try #require(try await queue.job("job-a", for: .all)?.job)
            #expect(job.source == Job.Source(image: source.digest, fileSize: png.count))
            #expect(job.request.source == nil)
            #expect(try await queue.source(of: job) == png)
        }
    }
#endif
