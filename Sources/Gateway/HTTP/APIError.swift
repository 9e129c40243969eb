// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Hummingbird
import ModelFiles
import Parameters
import Service

/// An error as clients receive it.
///
/// One body serves every client: the OpenAI libraries read `error`, others read `detail`.
struct APIError: Error, Equatable {
    var status: HTTPResponse.Status
    var type: String
    var code: String?
    var parameter: String?
    var message: String
    /// Seconds after which the client may retry.
    var retryAfter: Int?
    /// The `x-should-retry` header, for clients that would otherwise retry automatically.
    var shouldRetry: Bool?
    /// Methods of the path, for the `Allow` header.
    var allow: String?
    /// Authentication scheme, for the `WWW-Authenticate` header.
    var scheme: String?

    init(
        _ status: HTTPResponse.Status, type: String = "invalid_request_error",
        code: String?, parameter: String? = nil, _ message: String,
        retryAfter: Int? = nil, shouldRetry: Bool? = nil, allow: String? = nil
    ) {
        self.status = status
        self.type = type
        self.code = code
        self.parameter = parameter
        self.message = message
        self.retryAfter = retryAfter
        // Clients retry these automatically; without a time to wait a retry is useless.
        let isTerminal = (status.code == 409 || status.code >= 499) && retryAfter == nil
        self.shouldRetry = shouldRetry ?? (isTerminal ? false : nil)
        self.allow = allow
    }

    /// The JSON body.
    var body: ErrorBody {
        ErrorBody(
            error: .init(message: message, type: type, param: parameter, code: code),
            detail: message)
    }

    /// The response.
    func response() -> Response {
        var response = Response.json(body, status: status)
        response.headers[.retryAfter] = retryAfter.map(String.init)
        response.headers[.xShouldRetry] = shouldRetry.map(String.init)
        response.headers[.allow] = allow
        response.headers[.wwwAuthenticate] = scheme
        return response
    }
}

/// The error body; `param` and `code` are present even when null.
struct ErrorBody: Encodable, Equatable {
    struct Details: Encodable, Equatable {
        var message: String
        var type: String
        var param: String?
        var code: String?

        private enum Key: CodingKey { case message, type, param, code }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(message, forKey: .message)
            try container.encode(type, forKey: .type)
            try container.encode(param, forKey: .param)
            try container.encode(code, forKey: .code)
        }
    }

    var error: Details
    var detail: String
}

// MARK: - Errors of other modules

extension APIError {
    /// A field with an invalid value.
    static func invalid(_ parameter: String?, _ message: String) -> APIError {
        APIError(.badRequest, code: "invalid_value", parameter: parameter, message)
    }

    /// A field outside the model's limits; `names` maps our field names to the client's.
    init(_ error: RequestError, names: [String: String] = [:]) {
        let field = names[error.field] ?? error.field
        var message = error.message
        if field != error.field, field != "size", message.hasPrefix(error.field + " ") {
            message = field + message.dropFirst(error.field.count)
        }
        self = .invalid(field, message)
    }

    /// A failure of the engine; `retryAfter` is the estimate of when a place in the queue becomes free.
    init(_ error: GenerationError, retryAfter: Int) {
        switch error.code {
        case .busy:
            self.init(
                .serviceUnavailable, type: "rate_limit_error", code: "queue_full",
                error.message, retryAfter: retryAfter)
        case .notLoaded:
            self.init(
                .serviceUnavailable, type: "server_error", code: "model_loading",
                error.message, retryAfter: retryAfter)
        case .workerLost:
            self.init(
                .serviceUnavailable, type: "server_error", code: "worker_lost",
                error.message, retryAfter: retryAfter)
        case .deadline:
            self.init(
                .gatewayTimeout, type: "server_error", code: "deadline_exceeded", error.message)
        case .lora:
            self.init(.badRequest, code: "invalid_lora", parameter: "loras", error.message)
        case .control:
            self.init(.badRequest, code: "invalid_control", parameter: "controls", error.message)
        case .numeric:
            self.init(
                .internalServerError, type: "server_error", code: "numeric_failure",
                error.message)
        case .storage:
            self.init(
                .serviceUnavailable, type: "server_error", code: "storage_full",
                error.message, retryAfter: RetryAfter.storageFailed)
        case .queueUnreachable:
            self.init(
                .serviceUnavailable, type: "server_error", code: "queue_unreachable",
                error.message, retryAfter: retryAfter)
        case .serverStopped:
            self.init(
                .serviceUnavailable, type: "server_error", code: "server_stopping",
                error.message, retryAfter: retryAfter)
        case .internalFailure:
            self.init(
                .internalServerError, type: "server_error", code: "internal_error",
                error.message)
        }
    }

    /// A failed launch of a model.
    init(_ error: LaunchError) {
        switch error.code {
        case .usage, .badFile, .notFound:
            self.init(.badRequest, code: "model_unusable", error.message)
        case .alreadyLaunched:
            self.init(.badRequest, code: "model_already_launched", error.message)
        case .notLaunched: self.init(.notFound, code: "model_not_found", error.message)
        case .overBudget, .noMemory:
            self.init(
                .serviceUnavailable, type: "server_error", code: "no_memory", error.message)
        case .cancelled:
            self.init(
                .init(code: 499, reasonPhrase: "Client Closed Request"), type: "cancelled",
                code: "launch_cancelled", error.message)
        case .failed:
            self.init(
                .internalServerError, type: "server_error", code: "launch_failed", error.message)
        }
    }

    /// An error thrown by a handler, as clients may see it; `nil` if its details belong in the log only.
    init?(describing error: any Error, retryAfter: Int) {
        switch error {
        case let error as APIError: self = error
        case let error as RequestError: self.init(error)
        case let error as GenerationError: self.init(error, retryAfter: retryAfter)
        case let error as JobStoreError where error.code == .keyReused:
            self.init(
                .unprocessableContent, code: "idempotency_key_reused", error.message)
        case let error as JobStoreError where [.full, .locked].contains(error.code):
            self.init(GenerationError(.storage, error.message), retryAfter: retryAfter)
        case let error as LaunchError: self.init(error)
        case let error as CheckpointError:
            // Its message names files of this machine, and may quote what is in them.
            let isMissing = error.code == .notFound
            self.init(
                isMissing ? .notFound : .badRequest,
                code: isMissing ? "model_not_found" : "model_unusable",
                "The model's files \(isMissing ? "do not exist" : "cannot be used"); the server's log"
                    + " has the reason.")
        case is CancellationError: self = .cancelled
        case let error as HTTPError where error.status == .notFound: self = .noSuchPath
        default: return nil
        }
    }

    /// The client disconnected or cancelled; it must not retry automatically.
    static let cancelled = APIError(
        .init(code: 499, reasonPhrase: "Client Closed Request"), type: "cancelled",
        code: "request_cancelled", "The request was cancelled by its caller.")

    /// An unknown path.
    static let noSuchPath = APIError(
        .notFound, code: "not_found",
        "Nothing is served at this path; the page is at /, OpenAI's and Xinference's API under /v1, A1111's under"
            + " /sdapi/v1, and jobs under /api/jobs.")

    /// An unknown model.
    static func noSuchModel(_ id: String, known: [String]) -> APIError {
        APIError(
            .notFound, code: "model_not_found", parameter: "model",
            "The model '\(id)' does not exist; available: "
                + (known.isEmpty
                    ? "none until one is loaded." : "\(known.joined(separator: ", "))."))
    }

    /// No model is ready yet.
    static func loading(retryAfter: Int) -> APIError {
        APIError(
            GenerationError(
                .notLoaded,
                "No model is loaded yet; try again in a moment, or launch one with POST /v1/models if none is being"
                    + " loaded (GET /api/status)."),
            retryAfter: retryAfter)
    }

    /// The service is about to stop.
    static func draining(retryAfter: Int) -> APIError {
        APIError(
            .serviceUnavailable, type: "server_error", code: "server_draining",
            "The service is about to stop and accepts no more requests; try again in a moment.",
            retryAfter: retryAfter)
    }

    /// An unexpected error; its details are logged only.
    static func unexpected(requestID: String) -> APIError {
        APIError(
            .internalServerError, type: "server_error", code: "internal_error",
            "The server failed to answer; its log says more under request id \(requestID).")
    }
}
