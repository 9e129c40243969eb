// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Imaging
package import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

/// A worker's side of the protocol: one model, served to one gateway over a Unix socket.
///
/// * `GET /status`: a `WorkerStatus`, also while the model loads.
/// * `POST /run`: the body is a frame with a `WorkerCall`; the answer is a stream of frames with
///   `WorkerMessage`s, the last of which is `done`, `cancelled` or `failed`. Closing the
///   connection cancels the request.
/// * `POST /decode`: the body is an image file; the answer a frame with a `DecodedImageHeader` and pixels,
///   or 400 with a sentence.
/// * `POST /passes`: the body is how many passes the gateway has counted, the answer the `PassReport`s
///   after them.
/// * `POST /drain`: no more requests; the server ends after the last one.
package final class WorkerServer: Sendable {
    private struct State {
        var engine: (any LocalEngine)?
        var secondsPerPixel: Double?
        var loaded = 0.0
        var isListening = false
        var isDraining = false
        var passes = PassTotals()
        /// Passes that were not reported yet.
        var recent: [PassReport] = []
    }

    private let state = Mutex(State())
    /// Interval of heartbeats in a stream.
    private let heartbeat: Duration

    /// Called once, when the server listens and its model is loaded.
    private let onReady: @Sendable () -> Void

    /// The line that a worker writes to standard output when it is ready.
    package static let readyLine = "inkstone: worker ready"

    /// A server whose model is not loaded yet.
    package init(
        heartbeat: Duration = .milliseconds(500), onReady: @escaping @Sendable () -> Void = {}
    ) {
        self.heartbeat = heartbeat
        self.onReady = onReady
    }

    /// Records the share of the weights that is loaded.
    package func recordLoading(_ share: Double) {
        state.withLock { $0.loaded = share }
    }

    /// Sets the loaded engine, and the expected seconds of an evaluation for each pixel of an image.
    package func finishLoading(_ engine: any LocalEngine, secondsPerPixel: Double? = nil) {
        let isReady = state.withLock { state in
            state.loaded = 1
            state.secondsPerPixel = secondsPerPixel
            state.engine = engine
            return state.isListening
        }
        if isReady { onReady() }
    }

    private func beginListening() {
        let isReady = state.withLock { state in
            state.isListening = true
            return state.engine != nil
        }
        if isReady { onReady() }
    }

    /// Counts a pass.
    package func record(_ pass: PassReport) {
        state.withLock {
            $0.passes.add(pass)
            // A gateway asks every second; without one they are not needed.
            if $0.recent.count < 1 << 16 { $0.recent.append(pass) }
        }
    }

    /// Serves until it was drained, or until the task is cancelled.
    package func run(socket: String, logger: Logger) async throws {
        let (drains, drain) = AsyncStream<Void>.makeStream()
        let application = Application(
            router: makeRouter(drain),
            configuration: .init(
                address: .unixDomainSocket(path: socket), serverName: "inkstone-worker"),
            onServerRunning: { _ in self.beginListening() },
            logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [application], gracefulShutdownSignals: [], logger: logger))
        let drainer = Task {
            for await _ in drains { await group.triggerGracefulShutdown() }
        }
        defer {
            drainer.cancel()
            unlink(socket)
        }
        try await group.run()
    }

    // MARK: - Routes

    private func makeRouter(
        _ drain: AsyncStream<Void>.Continuation
    ) -> Router<BasicRequestContext> {
        let router = Router()
        router.get("status") { _, _ in try self.status() }
        router.post("run") { request, _ in try await self.answer(request) }
        router.post("decode") { request, _ in try await self.decode(request) }
        router.post("passes") { request, _ in
            var request = request
            let known = Int(String(buffer: try await request.collectBody(upTo: 20))) ?? 0
            return try Self.json(
                self.state.withLock { state in
                    // They are kept until an answer is known to have arrived.
                    let first = state.passes.count - state.recent.count
                    state.recent.removeFirst(min(max(0, known - first), state.recent.count))
                    return state.recent
                })
        }
        router.post("drain") { _, _ in
            self.state.withLock { $0.isDraining = true }
            drain.yield()
            return HTTPResponse.Status.accepted
        }
        return router
    }

    private func status() throws -> Response { try Self.json(currentStatus) }

    /// Its status now.
    package var currentStatus: WorkerStatus {
        let state = state.withLock { $0 }
        let load = state.engine?.load ?? (running: 0, waiting: 0)
        return WorkerStatus(
            state: state.isDraining ? .draining : state.engine == nil ? .loading : .ready,
            pid: ProcessInfo.processInfo.processIdentifier, loaded: state.loaded,
            memoryBytes: ProcessMemory.resident, running: load.running, waiting: load.waiting,
            passes: state.passes, promptCache: state.engine?.promptCacheInfo,
            loadedLoRAs: state.engine?.loadedLoRAs ?? [],
            model: state.engine?.description, secondsPerPixel: state.secondsPerPixel,
            device: state.engine?.deviceName, deviceMemory: state.engine?.deviceMemory)
    }

    /// Native code decodes untrusted files here, where a crash ends a worker and not the gateway.
    private func decode(_ request: Request) async throws -> Response {
        var request = request
        let body = try await request.collectBody(upTo: DecodedImageHeader.fileLimit)
        do {
            let image = try ImageDecoder.decodeUpload(Array(buffer: body))
            return Response(
                status: .ok, headers: [.contentType: "application/octet-stream"],
                body: .init(byteBuffer: try DecodedImageHeader.frame(of: image)))
        } catch let error as ImagingError {
            throw HTTPError(.badRequest, message: error.description)
        }
    }

    private static func json(_ value: some Encodable) throws -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try JSONEncoder().encode(value))))
    }

    private func answer(_ request: Request) async throws -> Response {
        var request = request
        var body = try await request.collectBody(
            upTo: 8 + WorkerFrame.headerLimit + WorkerFrame.payloadLimit)
        let engine = state.withLock { $0.isDraining ? nil : $0.engine }
        guard let engine else { throw HTTPError(.serviceUnavailable) }
        guard let frame = try WorkerFrame.take(from: &body) else { throw HTTPError(.badRequest) }
        let wanted: ImageRequest
        do {
            wanted = try frame.decode(WorkerCall.self).request(pixels: frame.payload)
        } catch {
            throw HTTPError(.badRequest, message: "\(error)")
        }
        return stream(wanted, on: engine, to: request)
    }

    private func stream(
        _ wanted: ImageRequest, on engine: any LocalEngine, to request: Request
    ) -> Response {
        let heartbeat = heartbeat
        let body = ResponseBody { writer in
            try await request.body.consumeWithCancellationOnInboundClose { _ in
                let events = engine.events(for: wanted, model: engine.description.id)
                try await Self.send(events, of: engine, heartbeat: heartbeat) {
                    try await writer.write($0)
                }
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "application/octet-stream", .connection: "close"],
            body: body)
    }

    /// Writes all events, with heartbeats between them.
    private static func send(
        _ events: JobEventStream, of engine: any LocalEngine,
        heartbeat: Duration, write: (ByteBuffer) async throws -> Void
    ) async throws {
        let (frames, feed) = AsyncStream<ByteBuffer>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // The connection's task ends the group when it is cancelled or cannot write.
                defer { feed.finish() }
                do {
                    for try await event in events { feed.yield(try WorkerMessage.encode(event)) }
                    feed.yield(try WorkerFrame.encode(WorkerMessage.done))
                } catch {
                    feed.yield(try WorkerFrame.encode(WorkerMessage(error)))
                }
            }
            group.addTask {
                while true {
                    try await Task.sleep(for: heartbeat)
                    feed.yield(
                        try WorkerFrame.encode(WorkerMessage.alive(heartbeat: engine.heartbeat)))
                }
            }
            for await frame in frames { try await write(frame) }
            group.cancelAll()
        }
    }
}
