// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Logging
import NIOCore
import Service
import Testing

/// Calls every route without a key, with an unknown one, with those of two owners and with one of the scope admin,
/// and compares the answers with the route's class.
@Suite("Every route by its class", .timeLimit(.minutes(2)))
struct RouteWalkTests {
    @Test("each route admits the clients of its class, and answers foreign names like unknown ones")
    func walk() async throws {
        let service = try WalkedService()
        let routes = service.gateway.routes
        let names = routes.map { "\($0.method) \($0.path)" }
        let uncalled = names.filter { WalkedCalls.call(of: $0) == nil }
        #expect(uncalled.isEmpty, "routes that WalkedCalls does not know")
        #expect(WalkedCalls.routes.filter { !names.contains($0) }.isEmpty, "routes that are gone")
        try await service.gateway.test { client in
            let walk = RouteWalk(service: service, client: client)
            var counts: [RouteClass: Int] = [:]
            for (number, route) in routes.enumerated() {
                guard let call = WalkedCalls.call(of: names[number]) else { continue }
                try await walk.check(names[number], number, route.method, route.access, call)
                counts[route.access, default: 0] += 1
            }
            let total = counts.values.reduce(0, +)
            let classes = RouteClass.allCases.map { "\(counts[$0] ?? 0) \($0)" }
            print("route walk: \(total) of \(names.count): \(classes.joined(separator: ", "))")
            #expect(total == names.count)
            #expect(RouteClass.allCases.allSatisfy { counts[$0] != nil })
        }
    }

    @Test("paths without a route, and methods that a path lacks, need a key as well")
    func unknownPaths() async throws {
        let service = try WalkedService()
        try await service.gateway.test { client in
            let walk = RouteWalk(service: service, client: client)
            for (method, path, known) in [
                (HTTPRequest.Method.get, "/none", 404), (.get, "/v1/none", 404),
                (.post, "/v1/models/tiny/none", 404), (.put, "/v1/models", 405),
                (.delete, "/api/jobs", 405),
            ] {
                let none = try await walk.send(method, WalkedCall(path), as: nil)
                #expect(none.status == .unauthorized, "\(path)")
                let own = try await walk.send(method, WalkedCall(path), as: service.ann)
                #expect(own.status.code == known, "\(path)")
            }
            // A path for all clients has methods for all clients.
            let open = try await walk.send(.post, WalkedCall("/livez"), as: nil)
            #expect(open.status.code == 405)
        }
    }
}

/// A service with the keys of two owners and one of the scope admin.
struct WalkedService: Sendable {
    let temporary: TemporaryStore
    let generator: FakeGenerator
    let gateway: Gateway
    /// Keys: of the owner of the objects, of another owner, of a client that has nothing, and of an administrator.
    let ann, cat, bob, root: String

    init() throws {
        temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        ann = try keys.add("ann", scope: .generate)
        cat = try keys.add("cat", scope: .generate)
        bob = try keys.add("bob", scope: .generate)
        root = try keys.add("root", scope: .admin)
        generator = try FakeGenerator(.hold)
        gateway = Gateway(
            generator: generator, store: temporary.store, keys: keys,
            configuration: GatewayConfiguration(version: "1"),
            telemetry: ServiceTelemetry(version: "1"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Runs a body while the generator goes on with all calls.
    func resuming<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        try await generator.resuming(body)
    }
}

/// Sends the calls of one route after the other.
struct RouteWalk: Sendable {
    let service: WalkedService
    let client: TestClient

    /// Sends a call with a key, or without one.
    func send(
        _ method: HTTPRequest.Method, _ call: WalkedCall, as key: String?
    ) async throws -> TestResponse {
        var headers: HTTPFields = key.map { [.authorization: "Bearer \($0)"] } ?? [:]
        headers[.contentType] = call.type
        return try await client.execute(
            uri: call.path, method: method, headers: headers,
            body: call.body.map { ByteBuffer(string: $0) })
    }

    /// Checks a route.
    func check(
        _ route: String, _ number: Int, _ method: HTTPRequest.Method, _ access: RouteClass,
        _ make: WalkedCalls.Make
    ) async throws {
        let nothing = WalkedObjects()
        switch access {
        case .public:
            for key in [nil, "ink-unknown", service.ann, service.root] {
                let answer = try await send(method, make(nothing), as: key)
                #expect(![401, 403].contains(answer.status.code), "\(route)")
            }
        case .key:
            try await expectRefusals(route, method, make(nothing))
            for key in [service.ann, service.root] {
                try await expectAdmitted(route, try await send(method, make(nothing), as: key))
            }
        case .admin:
            try await expectRefusals(route, method, make(nothing))
            for key in [service.ann, service.bob] {
                let answer = try await send(method, make(nothing), as: key)
                #expect(answer.status == .forbidden, "\(route)")
                #expect(try answer.error()["code"] == "admin_required", "\(route)")
            }
            try await expectAdmitted(
                route, try await send(method, make(nothing), as: service.root))
        case .owner: _ = try await checkOwner(route, number, method, make)
        case .link:
            let objects = try await checkOwner(route, number, method, make)
            try await checkLink(route, make(objects))
        }
    }

    /// A request without a valid key is refused, whatever it names; so is HEAD beside GET.
    private func expectRefusals(
        _ route: String, _ method: HTTPRequest.Method, _ call: WalkedCall
    ) async throws {
        for method in method == .get ? [method, .head] : [method] {
            let none = try await send(method, call, as: nil)
            let unknown = try await send(method, call, as: "ink-unknown")
            #expect(none.status == .unauthorized && unknown.status == .unauthorized, "\(route)")
            guard method != .head else { continue }
            #expect(try none.error()["code"] == "missing_api_key", "\(route)")
            #expect(try unknown.error()["code"] == "invalid_api_key", "\(route)")
        }
    }

    private func expectAdmitted(_ route: String, _ answer: TestResponse) async throws {
        #expect(answer.status != .unauthorized, "\(route)")
        guard answer.status == .forbidden else { return }
        // Such as an upload to a server without a folder for it.
        #expect(try answer.error()["code"] != "admin_required", "\(route)")
    }

    /// What an owner has does not exist for others, stays as it is when they call, and works for the owner.
    private func checkOwner(
        _ route: String, _ number: Int, _ method: HTTPRequest.Method, _ make: WalkedCalls.Make
    ) async throws -> WalkedObjects {
        let objects = try await WalkedObjects.make(number, for: service.ann, by: self)
        let others = try await WalkedObjects.make(number, for: service.cat, by: self)
        let nothing = WalkedObjects.unknown(number)
        let (own, unknown) = (make(objects), make(nothing))
        for call in own.variants { try await expectRefusals(route, method, call) }
        for (call, unknown) in zip(own.variants, unknown.variants) {
            let answer = try await send(method, call, as: service.bob)
            let expected = try await send(method, unknown, as: service.bob)
            #expect(answer.status.code == own.foreignStatus, "\(route): \(answer.text)")
            #expect(answer.status == expected.status, "\(route)")
            #expect(
                objects.masked(answer.text) == nothing.masked(expected.text), "\(route)")
            let sent = call.path + (call.body ?? "")
            for secret in objects.secrets where !sent.contains(secret) {
                #expect(!answer.text.contains(secret), "\(route)")
            }
        }
        try await objects.expectUnchanged(route, by: self, as: service.ann)
        let answer =
            own.waitsForCalls
            ? try await service.resuming { try await send(method, own, as: service.ann) }
            : try await send(method, own, as: service.ann)
        #expect(answer.status.code == own.ownStatus, "\(route): \(answer.text)")
        if let text = own.ownText { #expect(answer.text.contains(text), "\(route)") }
        for call in own.variants where method == .get {
            let answer = try await send(method, call, as: service.root)
            #expect(answer.status.code == own.ownStatus, "\(route): \(answer.text)")
        }
        if !own.waitsForCalls {
            try await others.expectUnchanged(route, by: self, as: service.cat)
        }
        try await service.resuming {
            try await others.expectSuccess(route, by: self, as: service.cat)
            _ = try await objects.taskStatus?.value
        }
        return objects
    }

    /// The signed address of a link opens without a key, and not when it was changed.
    private func checkLink(_ route: String, _ own: WalkedCall) async throws {
        let path = try #require(own.signedPath, "\(route)")
        let answer = try await send(.get, WalkedCall(path), as: nil)
        #expect(answer.status.code == own.ownStatus, "\(route)")
        let other = try await send(
            .get, WalkedCall(path.replacing("0.png", with: "1.png")), as: nil)
        #expect(other.status == .forbidden, "\(route)")
    }
}
