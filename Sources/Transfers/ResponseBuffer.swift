// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// Hands a response from the client's thread to the task that reads it.
///
/// At most `limit` bytes wait for the task; then the transfer pauses, and the server with it.
final class ResponseBuffer: TransferDelegate {
    private struct State {
        var head: TransferHead?
        var bytes: [UInt8] = []
        var isPaused = false
        var end: Result<Void, TransferError>?
        var headReader: CheckedContinuation<TransferHead, any Error>?
        var bodyReader: CheckedContinuation<[UInt8]?, any Error>?
    }

    private static let limit = 1 << 20
    private static let headless = TransferError(.response, "the response has no head")
    private let state = Mutex(State())

    // MARK: - The task's side

    /// Waits for the head.
    func head() async throws -> TransferHead {
        try await withCheckedThrowingContinuation { reader in
            let outcome: Result<TransferHead, any Error>? = state.withLock { state in
                if let head = state.head { return .success(head) }
                switch state.end {
                case .failure(let error)?: return .failure(Self.shown(error))
                case .success?: return .failure(Self.headless)
                case nil: state.headReader = reader
                }
                return nil
            }
            if let outcome { reader.resume(with: outcome) }
        }
    }

    /// Waits for bytes and takes all there are; `nil` at the end.
    func next(_ transfer: Transfer) async throws -> [UInt8]? {
        try await withCheckedThrowingContinuation { reader in
            let (outcome, resumes) = state.withLock { state in
                let outcome = Self.take(&state)
                if outcome == nil { state.bodyReader = reader }
                defer { state.isPaused = false }
                return (outcome, state.isPaused)
            }
            if resumes { transfer.resume() }
            if let outcome { reader.resume(with: outcome) }
        }
    }

    private static func take(_ state: inout State) -> Result<[UInt8]?, any Error>? {
        if !state.bytes.isEmpty {
            defer { state.bytes = [] }
            return .success(state.bytes)
        }
        switch state.end {
        case .success?: return .success(nil)
        case .failure(let error)?: return .failure(shown(error))
        case nil: return nil
        }
    }

    private static func shown(_ error: TransferError) -> any Error {
        error.code == .cancelled ? CancellationError() : error
    }

    // MARK: - The client's side

    func transferWillSend() {}

    func transferDidReceive(_ head: TransferHead) {
        let reader = state.withLock { state in
            state.head = head
            defer { state.headReader = nil }
            return state.headReader
        }
        reader?.resume(returning: head)
    }

    func transferDidReceive(_ bytes: UnsafeRawBufferPointer) -> TransferFlow {
        let (flow, reader) = state.withLock { state in
            if let reader = state.bodyReader {
                state.bodyReader = nil
                return (TransferFlow.proceed, CheckedContinuation<[UInt8]?, any Error>?(reader))
            }
            guard state.bytes.isEmpty || state.bytes.count + bytes.count <= Self.limit else {
                state.isPaused = true
                return (.pause, nil)
            }
            state.bytes.append(contentsOf: bytes)
            return (.proceed, nil)
        }
        reader?.resume(returning: [UInt8](bytes))
        return flow
    }

    func transferDidEnd(_ error: TransferError?) {
        let (headReader, bodyReader) = state.withLock { state in
            state.end = error.map { .failure($0) } ?? .success(())
            defer { (state.headReader, state.bodyReader) = (nil, nil) }
            return (state.headReader, state.bodyReader)
        }
        if let error {
            headReader?.resume(throwing: Self.shown(error))
            bodyReader?.resume(throwing: Self.shown(error))
        } else {
            headReader?.resume(throwing: Self.headless)
            bodyReader?.resume(returning: nil)
        }
    }
}
