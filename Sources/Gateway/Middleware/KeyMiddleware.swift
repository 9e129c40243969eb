// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird

/// Requires a key for paths without a route: clients without one do not learn which routes there are.
struct KeyMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let check: KeyCheck

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound {
            _ = try check.admit(request, to: .key, context)
            throw error
        }
    }
}
