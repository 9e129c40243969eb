// Part of Inkstone. Licence: see LICENSE.

import Engine
import Gateway
import HTTPTypes
import Logging
import NIOCore
import Service
import Testing

@Suite(.timeLimit(.minutes(5))) struct ServeTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let telemetry = ServiceTelemetry(version: "1")

    @Test(
        "a client that disconnects cancels its work",
        arguments: [
            ("/v1/images/generations", #"{"prompt": "p"}"#),
            ("/v1/images/generations", #"{"prompt": "p", "stream": true}"#),
            ("/sdapi/v1/txt2img", #"{"prompt": "p"}"#),
        ])
    func disconnect(path: String, body: String) async throws {
        let generator = try FakeGenerator(.hang)
        let logs = LogRecorder()
        try await withGateway(generator, logs: logs) { client in
            let port = client.port
            try await hangUp(
                port: port,
                after: "POST \(path) HTTP/1.1\r\nHost: localhost\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)",
                when: generator.beginnings)
            for await _ in generator.cancellations { break }
        }
        #expect(logs.requests.count == 1, "a request whose client disconnected is logged, too")
    }

    @Test("both listeners serve everything, and stop when the task is cancelled")
    func listeners() async throws {
        let generator = try FakeGenerator()
        let (opened, opening) = AsyncStream<GatewayAddresses>.makeStream()
        let configuration = GatewayConfiguration(version: "1", port: 0, pagePort: 0)
        let server = Task {
            try await serve(
                generator, store: try TemporaryStore().store, configuration: configuration,
                telemetry: telemetry, logger: logger, reload: nil
            ) {
                opening.yield($0)
                opening.finish()
            }
        }
        var iterator = opened.makeAsyncIterator()
        let addresses = try #require(await iterator.next())
        #expect(addresses.api != addresses.page)
        for address in [addresses.api, addresses.page] {
            #expect(address.hasPrefix("http://127.0.0.1:"))
            let port = try #require(address.split(separator: ":").last.flatMap { Int($0) })
            let foreign = try await rawExchange(
                port: port,
                "GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
            #expect(foreign.hasPrefix("HTTP/1.1 403 ") && foreign.contains("host_not_allowed"))
            for path in ["/", "/v1/models"] {
                let answer = try await rawExchange(
                    port: port,
                    "GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 200 OK"))
            }
        }
        server.cancel()
        _ = await server.result
    }

    @Test("a port in use is reported in one sentence")
    func takenPort() async throws {
        let generator = try FakeGenerator()
        try await withGateway(generator) { client in
            let port = client.port
            let configuration = GatewayConfiguration(version: "1", port: 0, pagePort: port)
            let error = await #expect(throws: GatewayError.self) {
                try await serve(
                    generator, store: try TemporaryStore().store, configuration: configuration,
                    telemetry: telemetry, logger: logger)
            }
            #expect(error?.code == .addressInUse)
            #expect(error?.message.contains("Port \(port)") == true)
        }
    }

    @Test("an address that is not this machine's is reported in one sentence")
    func wrongAddress() async throws {
        let generator = try FakeGenerator()
        for host in ["192.0.2.1", "no.such.host.invalid"] {
            let configuration = GatewayConfiguration(
                version: "1", host: host, port: 0, pagePort: nil, allowRemoteWithoutKeys: true)
            let error = await #expect(throws: GatewayError.self) {
                try await serve(
                    generator, store: try TemporaryStore().store, configuration: configuration,
                    telemetry: telemetry, logger: logger)
            }
            #expect(error?.code == .cannotListen)
            #expect(error?.message.contains(host) == true)
        }
    }

    @Test(
        "other machines are served only if that is allowed explicitly",
        arguments: ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
    func remote(host: String) async throws {
        let generator = try FakeGenerator()
        let configuration = GatewayConfiguration(version: "1", host: host, port: 0)
        let error = await #expect(throws: GatewayError.self) {
            try await serve(
                generator, store: try TemporaryStore().store, configuration: configuration,
                telemetry: telemetry, logger: logger)
        }
        #expect(error?.code == .remoteWithoutKeys)
        #expect(error?.message.contains("--allow-remote-without-keys") == true)
    }
}
