// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Imaging
import ModelFiles
import NIOCore
import Parameters
import Service

// Our own small interface; openapi.json beside the page's files describes it.
//
// POST   /api/jobs                     accepts the JSON fields of the OpenAI dialect, and `image` with
//                                      `strength` to start from; answers 202
// GET    /api/jobs                     the newest jobs; ?given_up=true: those that ended their workers
// GET    /api/jobs/{id}                one of them, by its id or the client's x-request-id
// GET    /api/jobs/{id}/events         its events, as server-sent events
// GET    /api/jobs/{id}/images/{index} a finished image
// PUT    /api/jobs/{id}/images/{index}/star  keeps the job although it is old; DELETE takes the star
// POST   /api/jobs/{id}/cancel         stops it within one step
// DELETE /api/jobs/{id}                removes it and its images

/// Jobs over HTTP.
struct JobController: Controller {
    let requests: RequestService
    let reader: ImageReader
    let links: ImageLinks
    /// Silence after which an event stream sends a comment.
    let keepAlive: Duration

    private var jobs: any JobQueue { requests.jobs }

    /// The routes in the comments above and in the file of the images' routes.
    func addRoutes(to table: inout RouteTable) {
        table.add("/api/jobs", [.post: .key(submitJob), .get: .owner(listJobs)])
        table.add(
            "/api/jobs/:id",
            [
                .get: .owner { _, context in .json(try await answer(id(context), context)) },
                .delete: .owner { _, context in
                    let answer = try await answer(try id(context), context)
                    guard try await jobs.remove(answer.id, for: context.access) else {
                        throw APIError(
                            .conflict, code: "job_not_final",
                            "The job is \(answer.state.rawValue); cancel it before it is removed.",
                            shouldRetry: false)
                    }
                    return Response(status: .noContent)
                },
            ])
        table.add(
            "/api/jobs/:id/cancel",
            [
                .post: .owner { _, context in
                    let id = try await answer(try id(context), context).id
                    await jobs.cancel(id, for: context.access)
                    return .json(try await answer(id, context), status: .accepted)
                }
            ])
        table.add("/api/jobs/:id/events", [.get: .owner(jobEvents)])
        table.add("/api/jobs/:id/images/:index", [.get: .owner(jobImage)])
        table.add("/api/jobs/:id/images/:index/thumbnail", [.get: .owner(thumbnail)])
        table.add(
            "/api/jobs/:id/images/:index/star",
            [
                .put: .owner { _, context in try await star(true, context) },
                .delete: .owner { _, context in try await star(false, context) },
            ])
        table.add("/api/jobs/:id/source", [.get: .owner(sourceImage)])
    }

    private func id(_ context: GatewayContext) throws -> String {
        try context.parameters.require("id")
    }

    static func noSuchJob(_ id: String) -> APIError {
        APIError(
            .notFound, code: "job_not_found",
            "There is no job \(JSONValue.string(id).summary); old ones are removed after a while.")
    }

    /// The answer about a job; jobs of other keys do not exist for the client.
    private func answer(_ id: String, _ context: GatewayContext) async throws -> JobAnswer {
        guard let (job, progress) = try await jobs.job(id, for: context.access) else {
            throw Self.noSuchJob(id)
        }
        return answer(job, progress, context)
    }

    private func answer(
        _ job: Job, _ progress: JobProgress?, _ context: GatewayContext
    ) -> JobAnswer {
        var answer = JobAnswer(job, progress, prefix: context.address.prefix)
        for index in answer.images.indices {
            addLink(to: &answer.images[index], of: job.id, context)
        }
        return answer
    }

    /// Adds the address that opens without the header of the client's key.
    private func addLink(
        to image: inout JobAnswer.Image, of id: String, _ context: GatewayContext
    ) {
        guard let key = context.key else { return }
        let name = ImageName(job: id, index: image.index, format: .png)
        image.link = context.address.prefix + links.address(of: name, for: key)
    }

    // MARK: - Routes

    @Sendable
    private func submitJob(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.readBody(upTo: requests.limits.uploadBytes)
        let fields = try RequestFields(json: body)
        let source = try await source(fields)
        let call = try await requests.imageCall(
            fields, source: source, mask: try await mask(fields, for: source),
            controls: try await reader.decoded(fields.controls(of: requests.controlNets)))
        let job = try await requests.submit(
            call, try Submission(request, body: body, fields, context), context)
        var response = Response.json(try await answer(job.id, context), status: .accepted)
        response.headers[.location] = context.address.prefix + "/api/jobs/\(job.id)"
        return response
    }

    @Sendable
    private func listJobs(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let parameters = request.uri.queryParameters
        var query = JobQuery(context.access)
        if let text = parameters["state"] {
            query.states = try text.split(separator: ",").map { word in
                guard let state = Job.State(rawValue: String(word)) else {
                    throw APIError.invalid(
                        "state",
                        "state must be one or more of"
                            + " \(Job.State.allCases.map(\.rawValue).joined(separator: ", ")),"
                            + " got \(JSONValue.string(String(word)).summary).")
                }
                return state
            }
        }
        query.isGivenUp = try Self.flag("given_up", parameters["given_up"])
        query.isStarred = try Self.flag("starred", parameters["starred"])
        query.model = parameters["model"].map(String.init)
        query.lora = parameters["lora"].map(String.init)
        query.since = try Self.date("since", parameters["since"])
        query.until = try Self.date("until", parameters["until"])
        query.text = parameters["q"].map(String.init)
        query.before = parameters["before"].map(String.init)
        if let text = parameters["limit"] {
            guard let limit = Int(text), (1...200).contains(limit) else {
                throw APIError.invalid(
                    "limit",
                    "limit must be between 1 and 200, got"
                        + " \(JSONValue.string(String(text)).summary).")
            }
            query.limit = limit
        }
        let wanted = query.limit
        query.limit += 1
        let found = try await jobs.jobs(query)
        var rows: [JobAnswer] = []
        for job in found.prefix(wanted) {
            let progress =
                job.state.isFinal ? nil : await jobs.progress(job.id, for: context.access)
            rows.append(answer(job, progress, context))
        }
        return .json(JobList(data: rows, hasMore: found.count > wanted))
    }

    /// A flag of a list's address.
    ///
    /// - Throws: `APIError` 400 for anything but true and false.
    private static func flag(
        _ name: String, _ text: Substring?
    ) throws -> Bool? {
        guard let text else { return nil }
        guard let flag = Bool(String(text)) else {
            throw APIError.invalid(
                name,
                "\(name) must be true or false, got \(JSONValue.string(String(text)).summary).")
        }
        return flag
    }

    /// A point in time of a list's address, in Unix seconds.
    ///
    /// - Throws: `APIError` 400 for anything but a number.
    private static func date(
        _ name: String, _ text: Substring?
    ) throws -> Date? {
        guard let text else { return nil }
        guard let seconds = Double(text), seconds.isFinite else {
            throw APIError.invalid(
                name,
                "\(name) must be a time in Unix seconds, such as 1764547200, got"
                    + " \(JSONValue.string(String(text)).summary).")
        }
        return Date(timeIntervalSince1970: seconds)
    }

    @Sendable
    private func jobEvents(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try id(context)
        guard let (job, _) = try await jobs.job(id, for: context.access),
            let events = try await jobs.watch(job.id, for: context.access)
        else { throw Self.noSuchJob(id) }
        return try await EventStream.response(
            to: context, events: events, isAccepted: true,
            keepAlive: keepAlive,
            translate: { try frame($0, of: job.id, context) },
            fail: { error in
                let known = ErrorMiddleware.describe(
                    error, retryAfter: requests.retryAfter, context: context)
                return EventStream.frame("error", known.body)
            },
            end: EventStream.frame("done", NoData()))
    }

    /// An event of a job; an image is a URL.
    private func frame(
        _ event: JobEvent, of id: String, _ context: GatewayContext
    ) throws -> ByteBuffer? {
        guard case .image(let image) = event else { return try EventStream.progress(event) }
        var answer = JobAnswer.Image(
            index: image.index, url: JobAnswer.url(id, image.index, prefix: context.address.prefix),
            seed: image.seed,
            pixelSHA256: image.pixelDigest, promptTruncated: image.promptTruncated,
            seconds: image.seconds.total, loras: image.loras, origin: image.origin)
        addLink(to: &answer, of: id, context)
        return EventStream.frame("image", answer)
    }

    @Sendable
    private func jobImage(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try id(context)
        let wanted = request.uri.queryParameters["format"].map(String.init) ?? "png"
        guard let format = ImageFormat(fileExtension: wanted) else {
            throw APIError.invalid(
                "format",
                "format must be png, jpeg or webp, got \(JSONValue.string(wanted).summary).")
        }
        guard let index = context.parameters.get("index", as: Int.self),
            let file = try await requests.imageFile(
                index, of: id, as: format, quality: OutputOptions.defaultQuality,
                for: context.access)
        else {
            throw APIError(
                .notFound, code: "image_not_found",
                "The job has no such image, or not yet; its images list those that are ready.")
        }
        var response = Response.bytes(file, type: format.mimeType)
        response.headers[.cacheControl] = "private, max-age=31536000, immutable"
        return response
    }
}
