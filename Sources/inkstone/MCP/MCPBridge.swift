// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Synchronization
import Transfers

/// Carries messages between standard input and output and a server's `/mcp`.
struct MCPBridge: Sendable {
    /// Time for a model to be loaded before the first call of a tool is sent anyway.
    private static let loadingTime = Duration.seconds(600)
    /// Bytes of the largest answer.
    private static let maximumBytes = 256 << 20

    private let client: TransferClient
    private let address: String
    private let output: MessageOutput
    private let key = ProcessInfo.processInfo.environment["INKSTONE_API_KEY"]
    private let session = Session()

    /// The name that the server has given to the conversation, and whether its model is loaded.
    private final class Session: Sendable {
        let id = Mutex<String?>(nil)
        let isReady = Mutex(false)
    }

    init(_ client: TransferClient, _ address: String, _ output: MessageOutput) {
        self.client = client
        self.address = address.hasSuffix("/") ? String(address.dropLast()) : address
        self.output = output
    }

    /// Forwards the lines of standard input until its end, and waits for the answers.
    func run() async {
        let (lines, feed) = AsyncStream<String>.makeStream()
        let reader = Thread {
            while let line = readLine() { feed.yield(line) }
            feed.finish()
        }
        reader.start()
        await withTaskGroup(of: Void.self) { group in
            for await line in lines where !line.allSatisfy(\.isWhitespace) {
                let message = Array(line.utf8)
                let method = Self.field("method", of: message)
                // Nothing else may be sent before the server has named the conversation.
                if method == .string("initialize") {
                    await forward(message, method)
                } else {
                    group.addTask { await forward(message, method) }
                }
            }
        }
    }

    /// Sends a message and writes what the server answers.
    private func forward(_ message: [UInt8], _ method: JSONValue?) async {
        if method == .string("tools/call") { await waitForModel() }
        var request = TransferRequest(address + "/mcp", method: "POST")
        request.headers.add("Content-Type", "application/json")
        request.headers.add("Accept", "application/json, text/event-stream")
        if let key, !key.isEmpty { request.headers.add("Authorization", "Bearer \(key)") }
        if let id = session.id.withLock(\.self) { request.headers.add("Mcp-Session-Id", id) }
        request.body = message
        do {
            let response = try await client.send(request)
            if let id = response.headers.first("Mcp-Session-Id") {
                session.id.withLock { $0 = id }
            }
            let type = response.headers.first("Content-Type") ?? ""
            if response.status == 200, type.hasPrefix("text/event-stream") {
                try await copyEvents(of: response.body)
            } else {
                try await answer(message, response)
            }
        } catch {
            refuse(message, "The server at \(address) does not answer: \(error)")
        }
    }

    /// Writes the data of each event as a line.
    private func copyEvents(of body: TransferResponse.Body) async throws {
        var waiting: [UInt8] = []
        for try await piece in body {
            waiting += piece
            guard waiting.count <= Self.maximumBytes else {
                throw CommandError(.failed, "an event is longer than \(Self.maximumBytes) bytes")
            }
            guard let end = waiting.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            for line in waiting[...end].split(separator: UInt8(ascii: "\n")) {
                let mark = Array("data: ".utf8)
                if line.starts(with: mark) { output.write(line.dropFirst(mark.count)) }
            }
            waiting.removeFirst(end + 1)
        }
    }

    /// Writes an answer in one body; an error that is not of the protocol becomes one that is.
    private func answer(_ message: [UInt8], _ response: TransferResponse) async throws {
        let body = try await response.body.collect(upTo: Self.maximumBytes)
        guard response.status != 202 else { return }
        if Self.field("jsonrpc", of: body) != nil { return output.write(body) }
        var reason = "status \(response.status)"
        if case .string(let text)? = Self.field("detail", of: body) { reason = text }
        refuse(message, "The server at \(address) refuses: \(reason)")
    }

    /// Answers a request with an error; a notification has no answer.
    private func refuse(_ message: [UInt8], _ reason: String) {
        guard let id = Self.field("id", of: message), id != .null,
            Self.field("method", of: message) != nil
        else { return complain(reason) }
        let answer: JSONValue = [
            "jsonrpc": "2.0", "id": id, "error": ["code": -32603, "message": .string(reason)],
        ]
        guard let bytes = try? JSONEncoder().encode(answer) else { return }
        output.write(bytes)
    }

    /// Waits until the server has a model; a call before would be refused.
    private func waitForModel() async {
        let clock = ContinuousClock()
        let end = clock.now + Self.loadingTime
        while !session.isReady.withLock(\.self), clock.now < end, !Task.isCancelled {
            var request = TransferRequest(address + "/readyz")
            request.totalTimeout = .seconds(10)
            guard let response = try? await client.send(request) else { return }
            if response.status == 200 { return session.isReady.withLock { $0 = true } }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// A field of a document that is an object.
    private static func field(_ name: String, of document: [UInt8]) -> JSONValue? {
        guard
            case .object(let fields)? = try? document.withUnsafeBytes({
                try JSONValue($0, options: .init(isLenient: true))
            })
        else { return nil }
        return fields[name]
    }
}
