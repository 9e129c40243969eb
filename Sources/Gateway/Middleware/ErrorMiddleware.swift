// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import Logging

/// Turns whatever a route throws into the one error body.
struct ErrorMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let pace: Pace

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            var response = Self.describe(error, pace: pace, context: context).response()
            if request.method == .head { response = response.createHeadResponse() }
            return response
        }
    }

    /// What clients may know about an error; the log gets what they may not.
    static func describe(_ error: any Error, pace: Pace, context: GatewayContext) -> APIError {
        let known = APIError(describing: error, patience: pace.patience)
        let answer = known ?? .unexpected(requestID: context.requestID)
        if answer.status == .internalServerError {
            context.logger.error("request failed", metadata: ["error": .string("\(error)")])
        }
        return answer
    }
}
