// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import Hummingbird

/// One method of a path, and its endpoint.
struct Route: Sendable {
    let method: HTTPRequest.Method
    let path: String
    let endpoint: Endpoint
    /// The path as far as the router reads it: up to `**`, which stands for one or more components.
    let base: String
    /// The components after `**`.
    private let suffix: [Substring]

    /// Name of the parameter with the components that `**` stands for.
    static let rest: Substring = "**"

    init(_ method: HTTPRequest.Method, _ path: String, _ endpoint: Endpoint) {
        (self.method, self.path, self.endpoint) = (method, path, endpoint)
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let end = parts.firstIndex(of: Self.rest) ?? parts.endIndex - 1
        base = parts[...end].joined(separator: "/")
        suffix = Array(parts[(end + 1)...])
    }

    /// The values of the parameters of a path that the router found for `base`; `nil` if the route is not for it.
    func parameters(of path: String) -> [(name: Substring, value: Substring)]? {
        guard base.hasSuffix(Self.rest) else { return [] }
        // The same components as the router's.
        let parts = path.split(separator: "/")
        let rest = parts.dropFirst(base.split(separator: "/").count - 1)
        guard rest.count > suffix.count else { return nil }
        let whole = rest.dropLast(suffix.count).joined(separator: "/")
        var values = [(name: Self.rest, value: Substring(whole.removingPercentEncoding ?? whole))]
        for (name, part) in zip(suffix, rest.suffix(suffix.count)) {
            if name.first == ":" {
                values.append((name.dropFirst(), part))
            } else if name != part {
                return nil
            }
        }
        return values
    }

    /// A handler that chooses among the routes of one method and base, the longest path first, and admits the
    /// request to the one that it chooses.
    static func handler(_ routes: [Route], _ check: KeyCheck) -> Handler {
        let sorted = routes.sorted { $0.suffix.count > $1.suffix.count }
        return { request, context in
            for route in sorted {
                guard let values = route.parameters(of: request.uri.path) else { continue }
                var context = try check.admit(request, to: route.endpoint.access, context)
                for (name, value) in values { context.coreContext.parameters[name] = value }
                return try await route.endpoint.handler(request, context)
            }
            _ = try check.admit(request, to: .key, context)
            throw APIError.noSuchPath
        }
    }
}
