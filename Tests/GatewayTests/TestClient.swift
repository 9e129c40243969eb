// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Gateway
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Transfers

/// Sends the requests of a test to a server that listens on a port of this machine.
struct TestClient: Sendable {
    /// One client for all tests: each test has a server, but not a thread.
    private static let transfers = TransferClient()

    /// Where the server listens.
    let port: Int

    /// Sends a request and reads the whole response.
    ///
    /// The host is `localhost` unless `headers` name another one.
    @discardableResult
    func execute(
        uri: String, method: HTTPRequest.Method, headers: HTTPFields = [:], body: ByteBuffer? = nil
    ) async throws -> TestResponse {
        var request = TransferRequest("http://127.0.0.1:\(port)\(uri)", method: method.rawValue)
        request.totalTimeout = .seconds(60)
        request.isRepeatable = true
        for field in headers { request.headers.add(field.name.rawName, field.value) }
        if request.headers.first("Host") == nil { request.headers.add("Host", "localhost") }
        request.body = body.map { Array($0.readableBytesView) }
        let response = try await Self.transfers.send(request)
        var fields = HTTPFields()
        for field in response.headers.fields {
            guard let name = HTTPField.Name(field.name) else { continue }
            fields.append(HTTPField(name: name, value: field.value))
        }
        return TestResponse(
            status: .init(code: response.status), headers: fields,
            body: ByteBuffer(bytes: try await response.body.collect(upTo: 1 << 30)))
    }
}

/// A response as a test sees it.
struct TestResponse: Sendable {
    let status: HTTPResponse.Status
    let headers: HTTPFields
    let body: ByteBuffer
}

extension Gateway {
    /// Serves on a port that the system chooses while a test runs.
    func test(_ body: @Sendable (TestClient) async throws -> Void) async throws {
        let (ports, opened) = AsyncStream<Int>.makeStream()
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        let services = ServiceGroup(
            configuration: .init(
                services: [makeApplication(port: 0) { opened.yield($0) }], logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { opened.finish() }
                try await services.run()
            }
            if let port = await ports.first(where: { _ in true }) {
                let result = await Result { try await body(TestClient(port: port)) }
                await services.triggerGracefulShutdown()
                try result.get()
            }
            try await group.waitForAll()
        }
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
