// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import Logging
import ModelFiles
import Service

/// Turns the error that a route throws into the error body.
struct ErrorMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    /// Estimates when a place in the queue becomes free.
    let meter: EngineMeter

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            let known = Self.describe(error, retryAfter: meter.retryAfter, context: context)
            var response = known.response()
            if request.method == .head { response = response.createHeadResponse() }
            return response
        }
    }

    /// The error as clients may see it; the details of unexpected errors are logged only.
    static func describe(
        _ error: any Error, retryAfter: Int, context: GatewayContext
    ) -> APIError {
        let known = APIError(describing: error, retryAfter: retryAfter)
        let answer = known ?? .unexpected(requestID: context.requestID)
        context.record?.setCode(answer.code)
        if answer.status == .internalServerError {
            context.logger.error("request failed", metadata: ["error": .string("\(error)")])
        } else if error is CheckpointError {
            context.logger.warning("model not usable", metadata: ["error": .string("\(error)")])
        }
        return answer
    }
}
