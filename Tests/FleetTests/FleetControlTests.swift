// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Fleet
import Foundation
import Imaging
import Parameters
import Service
import Testing

/// A request with the maps of two ControlNets.
private func controlledRequest() throws -> ImageRequest {
    func file(_ shade: UInt8) throws -> Data {
        Data(
            try ImageEncoder.encode(
                try RGBImage(width: 32, height: 16, filledWith: (shade, 1, 2))))
    }
    var draft = ImageRequest.Draft(prompt: "a fish")
    draft.seed = 1
    var first = ControlParameters(model: "net-lite", type: "canny")
    (first.map, first.strength) = (try file(1), 0.5)
    var second = ControlParameters(model: "net-2.1", type: "inpaint")
    (second.source, second.mask) = (try file(2), try file(3))
    return try ImageRequest(draft, for: .small).with(controls: [first, second])
}

/// Controls in the messages of a fleet.
struct FleetControlFormatTests {
    @Test("a request without the files of its controls has all else of them")
    func bare() throws {
        let request = try controlledRequest()
        let bare = try request.withoutControlFiles()
        #expect(bare.controls.map(\.model) == ["net-lite", "net-2.1"])
        #expect(bare.controls.map(\.strength) == [0.5, 1])
        #expect(bare.controls.allSatisfy { $0.map == nil && $0.source == nil && $0.mask == nil })
        #expect(try bare.with(controls: request.controls) == request)
        var job = FleetJob(id: "job-1", model: "m", request: bare, created: 0)
        #expect(job.files.isEmpty)
        job.controls = [
            .init(map: StoredFile(digest: "a", size: 1)),
            .init(source: StoredFile(digest: "b", size: 2), mask: StoredFile(digest: "c", size: 3)),
        ]
        #expect(job.files.map(\.digest) == ["a", "b", "c"])
        let bytes = try job.encoded
        #expect(try FleetJob.decode(bytes) == job)
        #expect(bytes.count < 2000)
    }
}

#if Fleet
    import Logging
    import Synchronization

    /// A generator that keeps the requests that it receives.
    private final class RecordingGenerator: ImageGenerating {
        private let received = Mutex<[ImageRequest]>([])
        var requests: [ImageRequest] { received.withLock { $0 } }

        func events(for request: ImageRequest, model: String) -> JobEventStream {
            received.withLock { $0.append(request) }
            return JobEventStream([.started])
        }
    }

    /// Controls on their way through a fleet.
    @Suite(
        .enabled(
            if: LiveServer.program != nil,
            "nats-server is not installed; apt install nats-server adds it."),
        .timeLimit(.minutes(5)))
    struct FleetControlTests {
        private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        private static let nets = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/control")

        private func worker(
            _ generator: RecordingGenerator, _ nets: ControlNetRegistry, _ server: LiveServer
        ) -> FleetWorker {
            let model = ModelDescription.small
            return FleetWorker(
                engine: FleetEngine(
                    model: model, generator: generator, loras: LoRARegistry(), controlNets: nets,
                    capacity: 1
                ) {
                    WorkerStatus(
                        state: .ready, pid: 1, loaded: 1, memoryBytes: 0, running: 0, waiting: 0,
                        passes: PassTotals(), model: model)
                }, store: server.store, logger: logger)
        }

        @Test("a worker that has the nets receives the maps, others leave the job to it")
        func controls() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let presence = WorkerPresence(server.store, gateway: "test")
            let queue = FleetQueue(
                server.store, presence: presence,
                meter: EngineMeter(ServiceTelemetry(version: "1").engine), gateway: "test",
                logger: logger)
            while await !queue.isReachable { try await Task.sleep(for: .milliseconds(10)) }
            let (without, with) = (RecordingGenerator(), RecordingGenerator())
            let workers = [
                worker(without, ControlNetRegistry(), server),
                worker(with, ControlNetRegistry(folder: Self.nets), server),
            ]
            let running = workers.map { worker in Task { try await worker.run(grace: .zero) } }
            while presence.workers.count < 2 { try await Task.sleep(for: .milliseconds(10)) }
            #expect(presence.controlNets == ["net-1.0", "net-2.0", "net-2.1", "net-lite"])
            let request = try controlledRequest()
            for _ in 0..<4 {
                let job = try await queue.submit(
                    request, model: ModelDescription.small.id, Submission(isDetached: true),
                    onEnd: {})
                #expect(job.request.controls.allSatisfy { $0.map == nil })
                let events = try #require(try await queue.watch(job.id, for: .all))
                // The generator ends without an image.
                await #expect(throws: GenerationError.self) { for try await _ in events {} }
            }
            #expect(without.requests.isEmpty && with.requests.count == 4)
            #expect(with.requests.allSatisfy { $0 == request })
            for worker in workers { worker.drain() }
            for task in running { try await task.value }
        }
    }
#endif
