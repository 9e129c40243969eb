// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird

/// Answers one method of a path.
typealias Handler = @Sendable (Request, GatewayContext) async throws -> Response

/// A handler, and the clients that may use it.
struct Endpoint: Sendable {
    let access: RouteClass
    let handler: Handler

    /// For all clients.
    static func `public`(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(access: .public, handler: handler)
    }

    /// For the holders of keys.
    static func key(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(access: .key, handler: handler)
    }

    /// For the owner of what the request names; the handler finds it with the context's access.
    static func owner(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(access: .owner, handler: handler)
    }

    /// For the owner of the file of a link, and the holders of its signed address.
    static func link(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(access: .link, handler: handler)
    }

    /// For the holders of keys of the scope admin.
    static func admin(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(access: .admin, handler: handler)
    }
}
