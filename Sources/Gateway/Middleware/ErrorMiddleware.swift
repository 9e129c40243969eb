// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import Logging
import Service

/// Turns whatever a route throws into the one error body.
struct ErrorMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    /// Knows how long a place in the queue takes to become free.
    let generator: MeteredGenerator

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            let known = Self.describe(error, retryAfter: generator.retryAfter, context: context)
            var response = known.response()
            if request.method == .head { response = response.createHeadResponse() }
            return response
        }
    }

    /// What clients may know about an error; the log gets what they may not.
    static func describe(
        _ error: any Error, retryAfter: Int, context: GatewayContext
    ) -> APIError {
        let known = APIError(describing: error, retryAfter: retryAfter)
        let answer = known ?? .unexpected(requestID: context.requestID)
        context.record?.setCode(answer.code)
        if answer.status == .internalServerError {
            context.logger.error("request failed", metadata: ["error": .string("\(error)")])
        }
        return answer
    }
}
