// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird

/// Refuses methods that no path has, and answers the two whose target is not a path.
struct MethodMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    private static let served = "DELETE, GET, HEAD, OPTIONS, POST"

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard HTTPRequest.Method.known.contains(request.method) else {
            throw APIError.methodNotImplemented(request.method.rawValue)
        }
        if request.method == .connect {
            throw APIError.methodNotAllowed(.connect, allow: Self.served)
        }
        if request.method == .options, request.head.path == "*" {
            return Response(status: .noContent, headers: [.allow: Self.served])
        }
        return try await next(request, context)
    }
}
