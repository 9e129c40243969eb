// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird

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
    /// `**` in a path stands for one or more components, of which the context's `rest` has the text; of several
    /// paths that differ after it the longest is chosen. The router answers `HEAD` wherever there is a `GET`,
    /// `OPTIONS`, and 405 for every other method that no path with the same beginning has.
    mutating func add(_ path: String, _ endpoints: [HTTPRequest.Method: Endpoint]) {
        precondition(paths.insert(path).inserted, "The path \(path) is registered twice.")
        for (method, endpoint) in endpoints.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            routes.append(Route(method, path, endpoint))
        }
    }

    /// Registers every route, `HEAD` beside `GET`, and a refusal for each method that a path lacks.
    ///
    /// Each handler is behind the check of its route's class.
    func register(in router: Router<GatewayContext>, _ check: KeyCheck) {
        for (path, routes) in Dictionary(grouping: routes, by: \.base) {
            let handlers = Dictionary(grouping: routes, by: \.method).mapValues {
                Route.handler($0, check)
            }
            let isPublic = routes.allSatisfy { $0.endpoint.access == .public }
            router.endpoint(RouterPath(path), handlers) { request, context in
                _ = try check.admit(request, to: isPublic ? .public : .key, context)
            }
        }
    }
}

extension GatewayContext {
    /// The part of the path that `**` stands for in the route, without percent encoding.
    var rest: String { parameters[Route.rest].map { String($0) } ?? "" }
}

extension Router<GatewayContext> {
    /// Adds a path with its methods: `HEAD` beside `GET`, `OPTIONS`, and 405 for every other known one, unless
    /// `admit` throws.
    fileprivate func endpoint(
        _ path: RouterPath, _ handlers: [HTTPRequest.Method: Handler],
        admit: @escaping @Sendable (Request, GatewayContext) throws -> Void
    ) {
        var handlers = handlers
        if let get = handlers[.get] {
            handlers[.head] = { try await get($0, $1).createHeadResponse() }
        }
        let methods = handlers.keys.map(\.rawValue) + [HTTPRequest.Method.options.rawValue]
        let allow = methods.sorted().joined(separator: ", ")
        handlers[.options] = { request, context in
            try admit(request, context)
            return Response(status: .noContent, headers: [.allow: allow])
        }
        for method in HTTPRequest.Method.known {
            let refuse: Handler = { request, context in
                try admit(request, context)
                throw APIError.methodNotAllowed(request.method, allow: allow)
            }
            on(path, method: method, use: handlers[method] ?? refuse)
        }
    }
}
