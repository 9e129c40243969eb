// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird

/// Answers one method of a path.
typealias Handler = @Sendable (Request, GatewayContext) async throws -> Response

/// One method of a path, and its handler.
struct Route: Sendable {
    let method: HTTPRequest.Method
    let path: String
    let handler: Handler
}

/// A part of the service that answers some paths.
protocol Controller: Sendable {
    /// Adds the controller's routes.
    func addRoutes(to table: inout RouteTable)
}

/// All routes of the service, in a list that can be inspected before a router is made of it.
struct RouteTable: Sendable {
    /// The routes in the order of their registration; the methods of one path are adjacent.
    private(set) var routes: [Route] = []
    private var paths: Set<String> = []

    /// The routes of some controllers.
    init(_ controllers: [any Controller]) {
        for controller in controllers { controller.addRoutes(to: &self) }
    }

    /// Adds a path with its methods; each path is added once.
    ///
    /// The router answers `HEAD` wherever there is a `GET`, and 405 for every other method.
    mutating func add(_ path: String, _ handlers: [HTTPRequest.Method: Handler]) {
        precondition(paths.insert(path).inserted, "The path \(path) is registered twice.")
        for (method, handler) in handlers.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            routes.append(Route(method: method, path: path, handler: handler))
        }
    }

    /// Registers every route, `HEAD` beside `GET`, and a refusal for each method that a path lacks.
    func register(in router: Router<GatewayContext>) {
        let handlers = Dictionary(grouping: routes, by: \.path).mapValues { routes in
            Dictionary(routes.map { ($0.method, $0.handler) }) { first, _ in first }
        }
        for (path, handlers) in handlers { router.endpoint(RouterPath(path), handlers) }
    }
}

extension Router<GatewayContext> {
    /// Adds a path with its methods: `HEAD` beside `GET`, and 405 for every method not given.
    fileprivate func endpoint(_ path: RouterPath, _ handlers: [HTTPRequest.Method: Handler]) {
        var handlers = handlers
        if let get = handlers[.get] {
            handlers[.head] = { try await get($0, $1).createHeadResponse() }
        }
        let allow = handlers.keys.map(\.rawValue).sorted().joined(separator: ", ")
        for method in [HTTPRequest.Method.get, .head, .post, .put, .patch, .delete] {
            let refuse: Handler = { request, _ in
                throw APIError(
                    .methodNotAllowed, code: "method_not_allowed",
                    "\(request.method.rawValue) is not possible here; use \(allow).",
                    allow: allow)
            }
            on(path, method: method, use: handlers[method] ?? refuse)
        }
    }
}
