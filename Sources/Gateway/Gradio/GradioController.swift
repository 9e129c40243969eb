// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Imaging
import ModelFiles
import NIOCore
import Parameters
import Service

/// The protocol of Gradio: one function, `/generate`.
struct GradioController: Controller {
    let requests: RequestService
    let links: ImageLinks
    /// Silence after which an event stream sends a message.
    let keepAlive: Duration
    /// Unread messages of the clients.
    let sessions = GradioSessions()
    /// Previews that clients fetch.
    let previews = GradioPreviews()

    private var jobs: any JobQueue { requests.jobs }

    /// The routes that `gradio_client` needs to call the function, and Gradio's interface for curl.
    func addRoutes(to table: inout RouteTable) {
        table.add(
            "/config",
            [.get: .key { _, _ in .json(GradioDocuments.config(try await standardModel())) }])
        table.add(
            "/gradio_api/info",
            [.get: .key { _, _ in .json(GradioDocuments.info(try await standardModel())) }])
        table.add("/gradio_api/queue/join", [.post: .owner(join)])
        table.add("/gradio_api/queue/data", [.get: .owner(read)])
        table.add("/gradio_api/cancel", [.post: .owner(cancel)])
        table.add("/gradio_api/call/generate", [.post: .key(call)])
        table.add("/gradio_api/call/generate/:event", [.get: .owner(follow)])
        table.add("/gradio_api/**", [.get: .link(file)])
    }

    private func standardModel() async throws -> ModelDescription {
        guard let model = await requests.models.first else {
            throw APIError.loading(retryAfter: requests.retryAfter)
        }
        return model
    }

    /// Reads the inputs in their order and submits a job.
    private func submit(
        _ fields: RequestFields, _ context: GatewayContext
    ) async throws -> Job {
        guard case .array(let inputs)? = fields.first("data")?.value else {
            throw APIError.invalid(
                "data",
                "data must be an array of the function's inputs: "
                    + GradioDocuments.names.joined(separator: ", ") + ".")
        }
        guard inputs.count <= GradioDocuments.names.count else {
            throw APIError.invalid(
                "data",
                "data must have at most \(GradioDocuments.names.count) inputs, got \(inputs.count)."
            )
        }
        let named = Dictionary(zip(GradioDocuments.names, inputs)) { $1 }
        let call = try await requests.imageCall(RequestFields(named))
        // A disconnect of the client is detected on its stream, not on this call.
        return try await requests.submit(
            call, Submission(requestID: context.requestID, owner: context.owner), context)
    }

    // MARK: - The queue

    @Sendable
    private func join(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try RequestFields(
            json: try await request.readBody(upTo: requests.limits.bodyBytes))
        guard let name = try fields.string("session_hash"), (1...200).contains(name.utf8.count)
        else {
            throw APIError.invalid(
                "session_hash", "session_hash must be a string of 1 to 200 bytes.")
        }
        let session = GradioSessions.Session(owner: context.owner, name: name)
        let event = UUID().uuidString.replacing("-", with: "").lowercased()
        do {
            let job = try await submit(fields, context)
            sessions.begin(event, job: job.id, session: session)
            Task { [links = files(for: context)] in await report(job, as: event, links) }
        } catch let error as APIError where error.status == .badRequest {
            // Clients show the message of a failed run; a refusal looks like a broken server to them.
            sessions.begin(event, job: "", session: session)
            sessions.post(Self.failure(error.message, event), of: event, isLast: true)
        }
        return .json(["event_id": event])
    }

    private static func failure(_ message: String, _ event: String) -> JSONValue {
        [
            "msg": "process_completed", "event_id": .string(event),
            "output": ["error": .string(message)], "success": false,
        ]
    }

    /// Makes the files of answers to a client, with addresses that it may open.
    private func files(for context: GatewayContext) -> GradioFiles {
        GradioFiles(links: links, key: context.key, base: context.address.base)
    }

    /// Sends the events of a job to its session, with files as its client may open them.
    private func report(_ job: Job, as event: String, _ files: GradioFiles) async {
        let id: JSONValue = .string(event)
        var progress = GradioProgress(job: job)
        defer { previews.end(job) }
        do {
            guard let events = try await jobs.watch(job.id, for: .all) else {
                throw CancellationError()
            }
            for try await what in events {
                switch what {
                case .queued(let place):
                    sessions.post(
                        [
                            "msg": "estimation", "event_id": id, "rank": .integer(Int64(place)),
                            "queue_size": .integer(Int64(place + 1)), "rank_eta": nil,
                        ], of: event)
                case .started:
                    sessions.post(["msg": "process_starts", "event_id": id, "eta": nil], of: event)
                case .step(let image, let step, _, _):
                    sessions.post(
                        [
                            "msg": "progress", "event_id": id,
                            "progress_data": [progress.progress(image: image, step: step)],
                        ], of: event)
                case .preview(let image, let step, let preview):
                    // The gallery shows the previews of its first image.
                    guard image == 0 else { continue }
                    let bytes = try ImageFile.encode(preview, as: .png, quality: 95)
                    let path = previews.store(bytes, step: step, of: job)
                    let data = progress.preview(files.file(path))
                    sessions.post(
                        [
                            "msg": "process_generating", "event_id": id, "success": true,
                            "output": ["data": data, "is_generating": true],
                        ], of: event)
                case .image:
                    break
                }
            }
            sessions.post(
                [
                    "msg": "process_completed", "event_id": id, "success": true,
                    "output": [
                        "data": progress.result(files), "is_generating": false,
                        "duration": .number(progress.seconds),
                        "average_duration": .number(progress.seconds),
                    ],
                ], of: event, isLast: true)
        } catch {
            let known = APIError(describing: error, retryAfter: requests.retryAfter)
            sessions.post(
                Self.failure(
                    known?.message ?? "The run failed; the server's log has the reason.", event),
                of: event, isLast: true)
        }
    }

    @Sendable
    private func read(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let name = request.uri.queryParameters["session_hash"].map(String.init) else {
            throw APIError.invalid(
                "session_hash",
                "session_hash is required, as in /gradio_api/queue/data?session_hash=x.")
        }
        let session = GradioSessions.Session(owner: context.owner, name: name)
        let (number, signals) = sessions.open(session)
        let body = ResponseBody { writer in
            do {
                try await context.cancellingOnDisconnect {
                    try await write(session, signals, &writer)
                }
            } catch {
                let abandoned = sessions.close(session, number)
                Task { await cancel(abandoned, of: session) }
                throw error
            }
            _ = sessions.close(session, number)
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: EventStream.headers, body: body)
    }

    /// Writes a session's messages until no more can follow.
    private func write(
        _ session: GradioSessions.Session, _ signals: AsyncStream<Void>,
        _ writer: inout any ResponseBodyWriter
    ) async throws {
        let interval = keepAlive
        // These clients read data lines only: the keep-alive is a message.
        let (wakes, waker) = AsyncStream<Bool>.makeStream()
        let listening = Task {
            for await _ in signals { waker.yield(true) }
            waker.finish()
        }
        let heartbeat = Task {
            while !Task.isCancelled {
                try await Task.sleep(for: interval)
                waker.yield(false)
            }
        }
        defer {
            listening.cancel()
            heartbeat.cancel()
        }
        for await hasMessages in wakes {
            guard hasMessages else {
                try await writer.write(Self.dataFrame(["msg": "heartbeat"]))
                continue
            }
            let (messages, isDone) = sessions.dequeue(session)
            for message in messages { try await writer.write(Self.dataFrame(message)) }
            if isDone {
                try await writer.write(
                    Self.dataFrame(["msg": "close_stream", "event_id": nil]))
                return
            }
        }
        try Task.checkCancellation()
    }

    /// Cancels the jobs of a client that disconnected, unless it connects again.
    private func cancel(_ abandoned: [String], of session: GradioSessions.Session) async {
        guard !abandoned.isEmpty else { return }
        try? await Task.sleep(for: .seconds(5))
        guard !sessions.hasReader(session) else { return }
        for job in abandoned { await jobs.cancel(job, for: .all) }
    }

    private static func dataFrame(_ message: JSONValue) -> ByteBuffer {
        var buffer = ByteBuffer(string: "data: ")
        buffer.writeBytes(jsonBytes(message))
        buffer.writeString("\n\n")
        return buffer
    }

    @Sendable
    private func cancel(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try RequestFields(
            json: try await request.readBody(upTo: requests.limits.bodyBytes))
        if let id = try fields.string("event_id"),
            let event = sessions.event(id, for: context.access)
        {
            await jobs.cancel(event.job, for: context.access)
        }
        return .json(["success": true])
    }

    // MARK: - For curl

    @Sendable
    private func call(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try RequestFields(
            json: try await request.readBody(upTo: requests.limits.bodyBytes))
        return .json(["event_id": try await submit(fields, context).id])
    }

    @Sendable
    private func follow(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.parameters.require("event")
        guard let (job, _) = try await jobs.job(id, for: context.access),
            let events = try await jobs.watch(job.id, for: context.access)
        else {
            throw APIError(
                .notFound, code: "event_not_found",
                "There is no event \(JSONValue.string(id).summary); POST /gradio_api/call/generate returns the id of"
                    + " a new one.")
        }
        let progress = GradioProgress(job: job)
        return try await EventStream.response(
            to: context, events: events, keepAlive: keepAlive,
            translate: { event in
                guard case .step = event else { return nil }
                return EventStream.frame("generating", JSONValue.null)
            },
            fail: { error in
                let known = APIError(describing: error, retryAfter: requests.retryAfter)
                return EventStream.frame(
                    "error",
                    JSONValue.string(
                        known?.message ?? "The run failed; the server's log has the reason."))
            },
            end: EventStream.frame("complete", progress.result(files(for: context))))
    }

    /// `/gradio_api/file=PATH`: a preview or a finished image.
    @Sendable
    private func file(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let name = SignedURL(request.uri).filePath else { throw APIError.noSuchPath }
        if let preview = previews.file(name, for: context.access) {
            return .bytes(preview, type: ImageFormat.png.mimeType)
        }
        let parts = name.split(separator: "/")
        guard parts.count == 3, parts[0] == "jobs", parts[2].hasSuffix(".png"),
            let index = Int(parts[2].dropLast(4)),
            let png = try await jobs.image(index, of: String(parts[1]), for: context.access)
        else {
            throw APIError(
                .notFound, code: "file_not_found",
                "There is no such file, or it is no longer stored, as previews are once their job has ended; call"
                    + " the function again.")
        }
        return .bytes(png, type: ImageFormat.png.mimeType)
    }
}
