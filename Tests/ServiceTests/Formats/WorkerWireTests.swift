// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Foundation
import Logging
import ModelFiles
import Service
import Tensors
import Testing
import ZImage

/// A worker understands what a gateway of version 0.1 sends, byte for byte as it was recorded.
@Suite("The wire between a gateway and a worker", .serialized, .timeLimit(.minutes(2)))
struct WorkerWireTests {
    private func engine() throws -> InferenceEngine<CPUBackend> {
        let pipeline = try Pipeline(
            model: try ModelDirectory(url: WorkerBench.model),
            device: try CPUBackend(precision: .f32, threads: 2))
        return InferenceEngine(
            pipeline: pipeline, loras: LoRARegistry(models: [WorkerBench.model]))
    }

    @Test(
        "recorded requests give the images of their fields",
        arguments: [StoredFormatTests.Recorded.text, .source])
    func requests(_ recorded: StoredFormatTests.Recorded) async throws {
        let engine = try engine()
        var expected: [String] = []
        try engine.run(try recorded.request(), isCancelled: { false }) { event in
            if case .image(let image) = event { expected.append(image.pixelDigest) }
        }
        let frame = try StoredFormatTests.bytes("worker-request-\(recorded.rawValue).frame")
        // A path of a socket has at most 107 bytes.
        let socket = "/tmp/ink-\(UUID().uuidString.prefix(8)).sock"
        let server = WorkerServer()
        server.finishLoading(engine)
        let running = Task {
            try await server.run(
                socket: socket, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
        let isListening = try await WorkerBench.wait {
            FileManager.default.fileExists(atPath: socket)
        }
        #expect(isListening)
        let answer = try await Task.detached {
            try UnixSocket.exchange(
                path: socket,
                Array(
                    "POST /run HTTP/1.1\r\nhost: worker\r\nconnection: close\r\ncontent-length: \(frame.count)\r\n\r\n"
                        .utf8) + frame)
        }.value
        running.cancel()
        _ = await running.result
        let images = try EventBytes.decode(UnixSocket.body(of: answer)).compactMap { event in
            if case .image(let image) = event { image.pixelDigest } else { nil }
        }
        #expect(images == expected && !images.isEmpty)
    }
}

/// HTTP over a Unix socket, as plainly as can be.
private enum UnixSocket {
    /// Sends bytes and reads until the other side closes.
    static func exchange(path: String, _ request: [UInt8]) throws -> [UInt8] {
        #if os(Linux)
            let type = Int32(SOCK_STREAM.rawValue)
        #else
            let type = SOCK_STREAM
        #endif
        let descriptor = socket(AF_UNIX, type, 0)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(status == 0)
        var sent = 0
        while sent < request.count {
            let count = request.withUnsafeBytes { bytes in
                write(descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent)
            }
            try #require(count > 0)
            sent += count
        }
        var (answer, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return answer }
            answer += buffer[..<count]
        }
    }

    /// The body of a chunked answer.
    static func body(of answer: [UInt8]) throws -> [UInt8] {
        let end = try #require(answer.firstRange(of: Array("\r\n\r\n".utf8)))
        let head = String(decoding: answer[..<end.lowerBound], as: UTF8.self)
        try #require(head.hasPrefix("HTTP/1.1 200"), "\(head)")
        var (rest, body) = (answer[end.upperBound...], [UInt8]())
        while let line = rest.firstRange(of: Array("\r\n".utf8)) {
            let text = String(decoding: rest[..<line.lowerBound], as: UTF8.self)
            let count = try #require(Int(text, radix: 16))
            guard count > 0 else { break }
            body += rest[line.upperBound...].prefix(count)
            rest = rest[line.upperBound...].dropFirst(count + 2)
        }
        return body
    }
}
