// Part of Inkstone. Licence: see LICENSE.

/// The head of a response, and its body as it comes.
package struct TransferResponse: Sendable {
    /// Status and header fields.
    package let head: TransferHead
    /// The body; to be read once.
    package let body: Body

    /// The status code.
    package var status: Int { head.status }
    /// The header fields.
    package var headers: HeaderFields { head.headers }

    /// Pieces of a body, each as large as what has arrived since the piece before.
    package struct Body: AsyncSequence, Sendable {
        private let source: Source

        init(_ buffer: ResponseBuffer, _ transfer: Transfer) {
            source = Source(buffer, transfer)
        }

        /// Begins to read.
        package func makeAsyncIterator() -> Iterator { Iterator(source: source) }

        /// Returns the whole body.
        ///
        /// - Throws: `TransferError` of code `response` for a body that is longer than `limit` bytes;
        ///   what the transfer throws.
        package func collect(upTo limit: Int) async throws -> [UInt8] {
            var bytes: [UInt8] = []
            for try await piece in self {
                guard bytes.count + piece.count <= limit else {
                    throw TransferError(.response, "the body is longer than \(limit) bytes")
                }
                bytes += piece
            }
            return bytes
        }

        /// Reads piece by piece.
        package struct Iterator: AsyncIteratorProtocol {
            fileprivate let source: Source

            /// The next piece; `nil` at the end.
            package mutating func next() async throws -> [UInt8]? { try await source.next() }
        }

        /// Cancels the transfer when the body is released before its end.
        fileprivate final class Source: Sendable {
            private let buffer: ResponseBuffer
            private let transfer: Transfer

            init(_ buffer: ResponseBuffer, _ transfer: Transfer) {
                self.buffer = buffer
                self.transfer = transfer
            }

            deinit { transfer.cancel() }

            func next() async throws -> [UInt8]? {
                try await withTaskCancellationHandler {
                    try await buffer.next(transfer)
                } onCancel: {
                    transfer.cancel()
                }
            }
        }
    }
}
