// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import HTTPTypes
import Hummingbird
import ModelFiles
import NIOCore
import Parameters
import Service

// POST /mcp  one JSON-RPC message; a call of a tool that makes images is answered as server-sent events where the
//            client accepts them
//
// Nothing but the names of calls in progress belongs to a session, so that any gateway answers any message.

/// The Model Context Protocol over HTTP ("streamable HTTP"), for agents.
struct MCPController: Controller {
    let requests: RequestService
    let reader: ImageReader
    let version: String
    /// Silence after which an event stream sends a comment.
    let keepAlive: Duration
    private let calls = MCPCalls()

    init(requests: RequestService, reader: ImageReader, version: String, keepAlive: Duration) {
        self.requests = requests
        self.reader = reader
        self.version = version
        self.keepAlive = keepAlive
    }

    /// The route in the comment above.
    func addRoutes(to table: inout RouteTable) {
        table.add("/mcp", [.post: .owner(message)])
    }

    @Sendable
    private func message(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.readBody(upTo: requests.limits.uploadBytes)
        let message: MCPMessage
        do {
            message = try MCPMessage(body)
            try MCPVersion.check(request)
        } catch {
            return .json(MCPMessage.refusal(MCPMessage.id(body), error), status: .badRequest)
        }
        switch message {
        case .response: return Response(status: .accepted)
        case .notification(let method, let parameters):
            if method == "notifications/cancelled" { await cancel(parameters, request, context) }
            return Response(status: .accepted)
        case .request(let id, let method, let parameters):
            do { return try await answer(id, method, parameters, request, context) } catch let error
                as MCPError
            {
                return .json(MCPMessage.refusal(id, error))
            }
        }
    }

    private func answer(
        _ id: JSONValue, _ method: String, _ parameters: [String: JSONValue], _ request: Request,
        _ context: GatewayContext
    ) async throws -> Response {
        switch method {
        case "initialize":
            var response = Response.json(MCPMessage.answer(id, introduction(parameters)))
            response.headers[.mcpSessionID] = Self.sessionID()
            return response
        case "ping": return .json(MCPMessage.answer(id, [:]))
        case "tools/list":
            let tools = MCPTool.allCases.map(\.description)
            return .json(MCPMessage.answer(id, ["tools": .array(tools)]))
        case "tools/call":
            return try await call(id, parameters, request, context)
        default:
            throw MCPError(
                .unknownMethod,
                "The method \(JSONValue.string(method).summary) is not known here; this server has tools only."
            )
        }
    }

    /// A name that no client can guess.
    private static func sessionID() -> String {
        (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 16) }.joined(
            separator: "-")
    }

    private func introduction(_ parameters: [String: JSONValue]) -> JSONValue {
        [
            "protocolVersion": .string(MCPVersion.agreed(parameters)),
            "capabilities": ["tools": ["listChanged": false]],
            "serverInfo": ["name": "inkstone", "title": "Inkstone", "version": .string(version)],
            "instructions":
                "Makes images from text on the user's own machine. Images in answers have names such as JOB/0; pass one as image to edit_image to change it.",
        ]
    }

    // MARK: - Calls

    /// Runs a tool.
    ///
    /// - Throws: `MCPError` for a tool or an argument that does not exist.
    private func call(
        _ id: JSONValue, _ parameters: [String: JSONValue], _ request: Request,
        _ context: GatewayContext
    ) async throws -> Response {
        guard case .string(let name)? = parameters["name"], let tool = MCPTool(rawValue: name)
        else {
            throw MCPError(
                .invalidParameters,
                "name must be one of \(MCPTool.allCases.map(\.rawValue).joined(separator: ", ")), got"
                    + " \((parameters["name"] ?? .null).summary).")
        }
        var arguments: [String: JSONValue] = [:]
        switch parameters["arguments"] {
        case nil, .null?: break
        case .object(let fields)?: arguments = fields
        case let value?:
            throw MCPError(.invalidParameters, "arguments must be an object, got \(value.summary).")
        }
        if let unknown = arguments.keys.filter({ tool.arguments[$0] == nil }).min() {
            let known = tool.arguments.keys.sorted().joined(separator: ", ")
            let error = APIError.invalid(
                unknown,
                "\(tool.rawValue) has no argument \(JSONValue.string(unknown).summary)"
                    + (known.isEmpty ? "." : "; it has \(known)."))
            return .json(MCPMessage.answer(id, MCPResult(error).value))
        }
        switch tool {
        case .generateImage, .editImage:
            return try await generate(
                id, tool, arguments, token: Self.token(parameters), request, context)
        case .listModels, .listLoRAs, .getJob, .cancelJob:
            let result = await result(context) { try await look(tool, arguments, context) }
            return .json(MCPMessage.answer(id, result.value))
        }
    }

    /// The client's name for the progress of a call, if it wants to hear of it.
    private static func token(_ parameters: [String: JSONValue]) -> JSONValue? {
        guard case .object(let meta)? = parameters["_meta"] else { return nil }
        switch meta["progressToken"] {
        case .string(let text)?: return .string(text)
        case .integer(let number)?: return .integer(number)
        default: return nil
        }
    }

    /// The result of a tool that fails in words.
    private func result(
        _ context: GatewayContext, _ run: () async throws -> MCPResult
    ) async -> MCPResult {
        do { return try await run() } catch {
            return MCPResult(
                ErrorMiddleware.describe(error, retryAfter: requests.retryAfter, context: context))
        }
    }

    /// Runs a tool that reads, or cancels a job.
    private func look(
        _ tool: MCPTool, _ arguments: [String: JSONValue], _ context: GatewayContext
    ) async throws -> MCPResult {
        let fields = RequestFields(arguments)
        switch tool {
        case .listModels: return try await models()
        case .listLoRAs:
            let offers = try await WorkThreads.disk.run { [loras = requests.loras] in loras.offers }
            let rows = offers.map { offer -> JSONValue in
                ["name": .string(offer.name), "scale": .number(offer.scale)]
            }
            let names = offers.map { "\($0.name) (scale \($0.scale))" }.joined(separator: ", ")
            return MCPResult(
                offers.isEmpty ? "There are no LoRA files." : "LoRA files: \(names).",
                structure: ["loras": .array(rows)])
        default:
            guard let id = try fields.string("job"), !id.isEmpty else {
                throw APIError(
                    .badRequest, code: "missing_required_parameter", parameter: "job",
                    "job is required: the id of a job, as earlier answers have it.")
            }
            if tool == .cancelJob { await requests.jobs.cancel(id, for: context.access) }
            return try await result(of: id, as: Self.format(fields), context)
        }
    }

    private func models() async throws -> MCPResult {
        let models = await requests.models
        let rows = try models.map { try JSONValue(client: jsonBytes($0.withoutWords)) }
        let names = models.map {
            "\($0.id) (\($0.defaults.size), \($0.defaults.steps) steps)"
        }
        return MCPResult(
            models.isEmpty
                ? "No model is loaded yet; try again in a moment."
                : "Models: \(names.joined(separator: ", ")).",
            structure: ["models": .array(rows)])
    }

    // MARK: - Images

    /// Submits the job of a call and answers with its images, as events where the client accepts them.
    private func generate(
        _ id: JSONValue, _ tool: MCPTool, _ arguments: [String: JSONValue], token: JSONValue?,
        _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        let submitted: MCPJob
        do { submitted = try await submit(tool, arguments, context) } catch {
            let known = ErrorMiddleware.describe(
                error, retryAfter: requests.retryAfter, context: context)
            return .json(MCPMessage.answer(id, MCPResult(known).value))
        }
        let name = name(of: id, request, context)
        let accepts = request.headers[.accept]?.lowercased() ?? ""
        guard accepts.contains("text/event-stream") else {
            return .json(
                try await context.cancellingOnDisconnect {
                    try await follow(submitted, name, id, context) { _ in }
                })
        }
        let body = ResponseBody { writer in
            try await context.cancellingOnDisconnect {
                var progress = MCPProgress(submitted.job)
                let last = try await follow(submitted, name, id, context) { item in
                    switch item {
                    case .keepAlive: try await writer.write(EventStream.keepAlive)
                    case .event(let event):
                        guard let token, let notification = progress.notification(token, event)
                        else { return }
                        try await writer.write(EventStream.frame("message", notification))
                    }
                }
                try await writer.write(EventStream.frame("message", last))
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: EventStream.headers, body: body)
    }

    /// Delivers the events of a job until its end, and returns the answer to its call.
    ///
    /// The job goes on if the client leaves; a call that is cancelled gets a refusal.
    private func follow(
        _ submitted: MCPJob, _ name: MCPCalls.Name, _ id: JSONValue, _ context: GatewayContext,
        deliver: (EventRelay.Item) async throws -> Void
    ) async throws -> JSONValue {
        calls.begin(name, job: submitted.job.id)
        defer { calls.end(name) }
        do {
            if let events = try await requests.jobs.watch(submitted.job.id, for: context.access) {
                try await EventRelay.run(events, keepAlive: keepAlive, deliver: deliver)
            }
        } catch {
            try Task.checkCancellation()
            // The job says itself how it has ended.
        }
        let job = try await requests.jobs.job(submitted.job.id, for: context.access)?.job
        guard job?.state != .cancelled else {
            return MCPMessage.refusal(id, MCPError(.cancelled, "The call was cancelled."))
        }
        let result = await result(context) {
            try await self.result(of: submitted.job.id, as: submitted.format, context)
        }
        return MCPMessage.answer(id, result.value)
    }

    private func name(
        of id: JSONValue, _ request: Request, _ context: GatewayContext
    ) -> MCPCalls.Name {
        MCPCalls.Name(
            session: request.headers[.mcpSessionID] ?? context.requestID, owner: context.owner,
            id: String(decoding: jsonBytes(id), as: UTF8.self))
    }

    /// Cancels the job of a call in progress; one that has ended, or is not known, is none.
    private func cancel(
        _ parameters: [String: JSONValue], _ request: Request, _ context: GatewayContext
    ) async {
        guard let id = parameters["requestId"],
            let job = calls.job(of: name(of: id, request, context))
        else { return }
        await requests.jobs.cancel(job, for: context.access)
    }
}
