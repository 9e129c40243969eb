// Part of Inkstone. Licence: see LICENSE.

import NIOHTTP1
import Synchronization
import Testing
import Transfers

/// Cancellation, back pressure and what delegates see.
@Suite("Flow of HTTP transfers", .timeLimit(.minutes(5)))
struct TransferFlowTests {
    private static let hanging: [ScriptedServer.Step] = [
        .send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na"), .wait(milliseconds: 60_000),
    ]

    @Test("cancelling a task closes its connection, before the head and within the body")
    func cancel() async throws {
        let server = try await ScriptedServer { request in
            request.head.uri == "/head" ? [.wait(milliseconds: 60_000)] : Self.hanging
        }
        let client = TransferClient()
        for path in ["/head", "/body"] {
            let task = Task {
                _ = try await client.send(TransferRequest(server.address + path)).body.collect(
                    upTo: 99)
            }
            #expect(await server.wait { !$0.requests.isEmpty && $0.open == 1 })
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(await server.wait { $0.open == 0 })
            #expect(client.connectionCount == 0)
            server.state.value.withLock { $0.requests = [] }
        }
        // A task that is cancelled already does not wait.
        let late = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await client.send(TransferRequest(server.address + "/head"))
        }
        await #expect(throws: CancellationError.self) { try await late.value }
        await client.shutDown()
        try await server.close()
    }

    @Test("a response that is released unread closes its connection") func release() async throws {
        let server = try await ScriptedServer { _ in Self.hanging }
        let client = TransferClient()
        #expect(try await client.send(TransferRequest(server.address)).status == 200)
        #expect(await server.wait { $0.opened == 1 && $0.open == 0 })
        await client.shutDown()
        try await server.close()
    }

    @Test("shutting down ends what is in progress, and what comes later")
    func shutDown() async throws {
        let server = try await ScriptedServer { _ in Self.hanging }
        let client = TransferClient()
        let response = try await client.send(TransferRequest(server.address))
        await client.shutDown()
        await #expect(throws: CancellationError.self) {
            for try await _ in response.body {}
        }
        await #expect(throws: CancellationError.self) {
            try await client.send(TransferRequest(server.address))
        }
        await client.shutDown()
        #expect(await server.wait { $0.open == 0 })
        try await server.close()
    }

    @Test("a slow reader holds the server back, and loses nothing") func backPressure() async throws
    {
        let count = 64 << 20
        let server = try await ScriptedServer { _ in
            [.send("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n"), .sendZeros(count)]
        }
        let client = TransferClient()
        var request = TransferRequest(server.address)
        // A transfer that pauses is not silent.
        request.silenceTimeout = .milliseconds(200)
        let response = try await client.send(request)
        // Until the server has stood still for longer than the silence.
        var (before, still) = (-1, 0)
        while still < 10 {
            try await Task.sleep(for: .milliseconds(50))
            let sent = server.sentBytes
            still = sent == before ? still + 1 : 0
            before = sent
        }
        #expect(before < count / 2)
        var total = 0
        for try await piece in response.body {
            total += piece.count
            #expect(piece.count <= 2 << 20)
        }
        #expect(total == count)
        await client.shutDown()
        try await server.close()
    }

    @Test("a delegate sees the parts in order, and the bytes again that it did not take")
    func delegate() async throws {
        let server = try await ScriptedServer { _ in
            [
                .send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none"), .wait(milliseconds: 20),
                .send("two"),
            ]
        }
        let client = TransferClient()
        let delegate = RecordingDelegate()
        let transfer = client.start(TransferRequest(server.address), delegate: delegate)
        delegate.onPause.withLock { $0 = { transfer.resume() } }
        await delegate.end()
        #expect(
            delegate.events.withLock { $0 } == ["send", "head 200", "pause", "one", "two", "end"])
        await client.shutDown()
        try await server.close()
    }

    @Test("lateness is reported until the watch ends") func lateness() async throws {
        let client = TransferClient()
        let (stream, sink) = AsyncStream<Duration>.makeStream()
        let watch = client.watchLateness(every: .milliseconds(5)) { sink.yield($0) }
        var seen = 0
        for await late in stream {
            #expect(late >= .zero)
            seen += 1
            if seen == 5 { break }
        }
        watch.cancel()
        await client.shutDown()
    }
}

/// Records what happens, and pauses at the first bytes.
private final class RecordingDelegate: TransferDelegate {
    let events = Mutex<[String]>([])
    let onPause = Mutex<(@Sendable () -> Void)?>(nil)
    private let ended = AsyncStream<Void>.makeStream()

    func end() async {
        for await _ in ended.stream { break }
    }

    private func record(_ event: String) { events.withLock { $0.append(event) } }

    func transferWillSend() { record("send") }

    func transferDidReceive(_ head: TransferHead) { record("head \(head.status)") }

    func transferDidReceive(_ bytes: UnsafeRawBufferPointer) -> TransferFlow {
        guard events.withLock({ $0.contains("pause") }) else {
            record("pause")
            // The test sets it right after the start.
            while onPause.withLock({ $0 == nil }) {}
            onPause.withLock { $0 }?()
            return .pause
        }
        record(String(decoding: bytes, as: UTF8.self))
        return .proceed
    }

    func transferDidEnd(_ error: TransferError?) {
        record(error.map(\.description) ?? "end")
        ended.continuation.finish()
    }
}
