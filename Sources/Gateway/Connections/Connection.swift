// Part of Inkstone. Licence: see LICENSE.

import Hummingbird
import NIOCore
import Synchronization

/// A connection of a client, as the handlers of its requests see it.
///
/// Times the first byte of each request and the last byte of each answer: only the channel knows the latter,
/// since a handler is done when its last bytes are in memory, and a client that reads slowly may receive them
/// much later.
final class Connection: Sendable {
    private struct State {
        /// When the first byte of the next request was read.
        var firstByte: ContinuousClock.Instant?
        /// The requests that are answered, in their order.
        ///
        /// There are two of them when a client sent the next one early and the end of the first
        /// answer is still on its way to the socket.
        var records: [HTTPRequestRecord] = []
        var isClosed = false
        /// Called when the client closes its side of the connection.
        var observers: [Int: @Sendable () -> Void] = [:]
        var observerCount = 0
    }

    private let channel: any Channel
    private let state = Mutex(State())

    init(_ channel: any Channel) {
        self.channel = channel
    }

    // MARK: - Records

    /// Records that the first bytes of a request were read.
    func bytesRead() {
        state.withLock { state in
            if state.firstByte == nil, state.records.isEmpty { state.firstByte = .now }
        }
    }

    /// The time of the first byte of the request whose head has been read; the next request starts over.
    func consumeFirstByte() -> ContinuousClock.Instant {
        state.withLock { state in
            defer { state.firstByte = nil }
            return state.firstByte ?? .now
        }
    }

    /// Records that a request is answered from now on.
    func begin(_ record: HTTPRequestRecord) {
        state.withLock { $0.records.append(record) }
    }

    /// Removes and returns the request whose last byte is about to be sent.
    func popRecord() -> HTTPRequestRecord? {
        state.withLock { $0.records.isEmpty ? nil : $0.records.removeFirst() }
    }

    /// Finishes all records: the connection is closed.
    func close() {
        inputClosed()
        while let record = popRecord() { record.finish(clientDisconnected: true) }
    }

    // MARK: - The client's side

    /// Sends `100 Continue` to a client that waits for it before it sends its body.
    func sendContinue() {
        channel.triggerUserOutboundEvent(RequestGate.SendContinue(), promise: nil)
    }

    /// Records that the client closed its side of the connection.
    func inputClosed() {
        let observers = state.withLock { state in
            state.isClosed = true
            defer { state.observers = [:] }
            return state.observers.values
        }
        for observer in observers { observer() }
    }

    /// Calls a function when the client closes its side of the connection, at once if it did already.
    ///
    /// - Returns: a number to remove the observer with.
    private func observe(_ observer: @escaping @Sendable () -> Void) -> Int {
        let number = state.withLock { state -> Int? in
            guard !state.isClosed else { return nil }
            state.observerCount += 1
            state.observers[state.observerCount] = observer
            return state.observerCount
        }
        guard let number else {
            observer()
            return 0
        }
        return number
    }

    private func removeObserver(_ number: Int) {
        state.withLock { $0.observers[number] = nil }
    }

    /// Runs an operation that is cancelled when the client closes its side of the connection; bytes that the
    /// client sends meanwhile, such as its next request, change nothing.
    ///
    /// - Throws: what the operation throws, or `CancellationError`.
    func cancellingOnClose<Value: Sendable>(
        _ operation: () async throws -> Value
    ) async throws -> Value {
        let (closing, closed) = AsyncStream<Void>.makeStream()
        let number = observe { closed.finish() }
        defer { removeObserver(number) }
        return try await withoutActuallyEscaping(operation) { operation in
            let transferred = Transferred(value: operation)
            return try await withThrowingTaskGroup(of: Value.self) { group in
                group.addTask {
                    for await _ in closing {}
                    throw CancellationError()
                }
                group.addTask { try await transferred.value() }
                defer { group.cancelAll() }
                guard let value = try await group.next() else { throw CancellationError() }
                return value
            }
        }
    }
}

/// Carries a value into a task.
///
/// Invariant: the task that creates it does nothing with the value until the other one has ended.
private struct Transferred<Value>: @unchecked Sendable {
    let value: Value
}

/// All open connections.
final class ConnectionRegistry: Sendable {
    private let connections = Mutex<[ObjectIdentifier: Connection]>([:])

    /// The connection of a channel, or `nil` if it has no socket, as in tests.
    subscript(channel: any Channel) -> Connection? {
        connections.withLock { $0[ObjectIdentifier(channel)] }
    }

    func add(_ connection: Connection, _ channel: any Channel) {
        connections.withLock { $0[ObjectIdentifier(channel)] = connection }
    }

    func remove(_ channel: any Channel) {
        connections.withLock { $0[ObjectIdentifier(channel)] = nil }
    }
}
