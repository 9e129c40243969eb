// Part of Inkstone. Licence: see LICENSE.

import Gateway
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Service
import Testing

/// The list of routes that the controllers register.
@Suite("Routes", .timeLimit(.minutes(5)))
struct RouteTableTests {
    private func gateway(_ store: TemporaryStore) throws -> Gateway {
        Gateway(
            generator: try FakeGenerator(), store: store.store,
            configuration: GatewayConfiguration(version: "1"),
            telemetry: ServiceTelemetry(version: "1"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// A path of a route with something for each of its parameters.
    private func example(_ path: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false).map { part in
            part.hasPrefix(":") ? "none" : part == "**" ? "none" : String(part)
        }.joined(separator: "/")
    }

    @Test("every controller is there")
    func controllers() throws {
        let store = try TemporaryStore()
        let routes = try gateway(store).routes.map { "\($0.method) \($0.path)" }
        #expect(Set(routes).count == routes.count)
        for route in [
            "POST /v1/images/generations", "POST /v1/images/edits", "GET /v1/models",
            "POST /v1/models", "DELETE /v1/models/**", "GET /v1/cluster/auth",
            "POST /sdapi/v1/txt2img", "GET /sdapi/v1/loras", "POST /gradio_api/queue/join",
            "POST /mcp", "POST /api/jobs", "GET /api/jobs/:id/images/:index/thumbnail",
            "GET /api/catalog",
            "POST /api/loras", "GET /api/status", "POST /api/estimate", "GET /api/benchmarks",
            "GET /api/models/**/words", "GET /", "GET /assets/app.js", "GET /readyz",
            "GET /metrics",
        ] {
            #expect(routes.contains(route), "\(route)")
        }
        #expect(!routes.contains("POST /api/generate"))
    }

    @Test("every route answers its methods and refuses the others with 405")
    func methods() async throws {
        let store = try TemporaryStore()
        let gateway = try gateway(store)
        var methods: [String: Set<HTTPRequest.Method>] = [:]
        for route in gateway.routes {
            // What follows `**` is read by the routes themselves, which share its methods.
            let end = route.path.firstRange(of: "**")?.upperBound ?? route.path.endIndex
            methods[String(route.path[..<end]), default: []].insert(route.method)
        }
        let paths = methods
        try await gateway.test { client in
            for (path, methods) in paths {
                let uri = example(path)
                for method in [HTTPRequest.Method.get, .post, .put, .patch, .delete] {
                    let answer = try await client.execute(uri: uri, method: method)
                    let isThere = methods.contains(method)
                    #expect(
                        (answer.status != .methodNotAllowed) == isThere, "\(method) \(path)")
                    guard !isThere else { continue }
                    let allowed = Set(
                        methods.map(\.rawValue) + ["OPTIONS"]
                            + (methods.contains(.get) ? ["HEAD"] : []))
                    #expect(
                        answer.headers[.allow] == allowed.sorted().joined(separator: ", "),
                        "\(method) \(path)")
                }
            }
        }
    }
}
