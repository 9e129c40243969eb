// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Service
import Synchronization
import Testing

/// Runs a test against a service around a generator, over a port of this machine.
func withGateway(
    _ generator: any ImageGenerating & ModelListing,
    forecaster: (any RequestForecasting)? = nil,
    keys: KeyStore? = nil, logs: LogRecorder? = nil,
    telemetry: ServiceTelemetry = ServiceTelemetry(version: "1.2.3"),
    configure: (inout GatewayConfiguration) -> Void = { _ in },
    test: @Sendable (TestClient) async throws -> Void
) async throws {
    var configuration = GatewayConfiguration(version: "1.2.3")
    configure(&configuration)
    var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    if let logs { logger = Logger(label: "test") { _ in logs } }
    let temporary = try TemporaryStore()
    let gateway = Gateway(
        generator: generator, forecaster: forecaster, store: temporary.store, keys: keys,
        configuration: configuration, telemetry: telemetry, logger: logger)
    try await gateway.test(test)
}

/// A job store in a temporary folder, which is removed with it.
final class TemporaryStore: Sendable {
    let folder = FileManager.default.temporaryDirectory.appending(
        path: "inkstone-gateway-\(UUID().uuidString)")
    let store: JobStore

    init() throws { store = try JobStore(folder: folder) }

    deinit { try? FileManager.default.removeItem(at: folder) }
}

extension TestClient {
    /// Posts JSON text.
    func post(
        _ path: String, _ json: String, headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        try await execute(
            uri: path, method: .post, headers: headers, body: ByteBuffer(string: json))
    }

    /// Gets a path.
    func get(_ path: String, headers: HTTPFields = [:]) async throws -> TestResponse {
        try await execute(uri: path, method: .get, headers: headers)
    }
}

extension TestResponse {
    /// The body as a JSON object.
    func object() throws -> [String: Any] {
        let json = try JSONSerialization.jsonObject(with: Data(body.readableBytesView))
        return try #require(json as? [String: Any])
    }

    /// The body as text.
    var text: String { String(buffer: body) }

    /// `type`, `code`, `param` and `message` of the error body.
    ///
    /// Every reader of errors must find the same text.
    func error() throws -> [String: String] {
        let body = try object()
        let error = try #require(body["error"] as? [String: Any])
        #expect(body["detail"] as? String == error["message"] as? String)
        #expect(Set(error.keys) == ["message", "type", "param", "code"])
        return error.compactMapValues { $0 as? String }
    }

    /// The server-sent events of the body.
    func events() throws -> [ServerEvent] {
        #expect(headers[.contentType] == "text/event-stream; charset=utf-8")
        return try text.components(separatedBy: "\n\n").dropLast().compactMap(ServerEvent.init)
    }
}

/// One event of a stream.
struct ServerEvent {
    let name: String
    let data: [String: Any]

    /// Reads a frame; `nil` for a comment.
    ///
    /// Only `event:` and `data:` may occur, one of each: clients fail on anything else.
    init?(_ frame: String) throws {
        if frame.hasPrefix(":") { return nil }
        let lines = frame.components(separatedBy: "\n")
        try #require(lines.count == 2, "\(frame)")
        try #require(lines[0].hasPrefix("event: ") && lines[1].hasPrefix("data: "), "\(frame)")
        name = String(lines[0].dropFirst(7))
        let json = try JSONSerialization.jsonObject(with: Data(lines[1].dropFirst(6).utf8))
        data = try #require(json as? [String: Any])
    }
}

/// Records the lines of a log.
struct LogRecorder: LogHandler {
    final class Lines: Sendable {
        let all = Mutex<[(message: String, metadata: Logger.Metadata)]>([])
    }

    let lines = Lines()
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let metadata = metadata.merging(event.metadata ?? [:]) { $1 }
        lines.all.withLock { $0.append(("\(event.message)", metadata)) }
    }

    /// The lines of the access log.
    var requests: [Logger.Metadata] {
        lines.all.withLock { $0.filter { $0.message == "request" }.map(\.metadata) }
    }
}

extension HTTPField.Name {
    static func named(_ text: String) throws -> Self {
        try #require(HTTPField.Name(text))
    }
}
