// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Engine
import Foundation
import Logging
import ModelFiles
import NIOCore
import Service
import Synchronization
import Tensors
import Testing
import ZImage

/// A request to a worker whose gateway closes the connection.
@Suite("A worker's socket", .timeLimit(.minutes(3)))
struct WorkerCancellationTests {
    @Test("closing the connection cancels the request within the step in progress")
    func closedConnection() async throws {
        let passes = Atomic(0)
        let engine = InferenceEngine(
            pipeline: try Pipeline(
                model: try ModelDirectory(url: WorkerBench.model),
                device: try CPUBackend(precision: .f32, threads: 1))
        ) { _ in
            passes.add(1, ordering: .sequentiallyConsistent)
            // A step of a large model: far longer than a closed connection takes to be noticed.
            Thread.sleep(forTimeInterval: 1)
        }
        let (ready, listening) = AsyncStream<Void>.makeStream()
        let server = WorkerServer { listening.yield() }
        server.finishLoading(engine)
        let folder = try TemporaryFolder()
        let socket = folder.url.appending(path: "s").path
        let serving = Task {
            try await server.run(
                socket: socket, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
        for await _ in ready { break }

        let request = try WorkerBench.request(engine.description, steps: 200)
        let call = try WorkerFrame.encode(WorkerCall(request))
        let heard = await Self.hangUp(socket, after: Array(call.readableBytesView), at: "\"step\"")
        #expect(heard.contains("\"started\""), "\(heard)")
        let isIdle = try await WorkerBench.wait { engine.load.running == 0 }
        #expect(isIdle)
        // The step that was reported, and the one that had begun when the connection closed.
        #expect(passes.load(ordering: .sequentiallyConsistent) <= 2)
        serving.cancel()
        _ = await serving.result
    }

    /// Posts a call, reads until a text arrives, and closes the connection. Returns what it read.
    private static func hangUp(_ path: String, after call: [UInt8], at text: String) async -> String
    {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(returning: exchange(path, call, until: text))
            }
        }
    }

    private static func exchange(_ path: String, _ call: [UInt8], until text: String) -> String {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isConnected else { return "no connection" }
        let head = "POST /run HTTP/1.1\r\nHost: worker\r\nContent-Length: \(call.count)\r\n\r\n"
        let bytes = Array(head.utf8) + call
        guard send(descriptor, bytes, bytes.count, 0) == bytes.count else { return "not sent" }
        var heard = ""
        var chunk = [UInt8](repeating: 0, count: 4096)
        while !heard.contains(text) {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { break }
            heard += String(decoding: chunk[..<count], as: UTF8.self)
        }
        return heard
    }
}
