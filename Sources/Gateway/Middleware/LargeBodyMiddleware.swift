// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import Service

/// Processes requests with large bodies apart from all others.
struct LargeBodyMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    /// Bytes from which on a body is large: smaller ones are read within a millisecond or two.
    private static let threshold = 16 << 10

    func handle(
        _ request: Request, context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let length = request.headers[.contentLength].flatMap(Int.init) ?? 0
        guard
            length >= Self.threshold || request.headers[.transferEncoding] != nil
        else { return try await next(request, context) }
        return try await withTaskExecutorPreference(WorkThreads.bodies) {
            try await next(request, context)
        }
    }
}
