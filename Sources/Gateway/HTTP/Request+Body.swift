// Part of Inkstone. Licence: see LICENSE.

import HTTPTypes
import Hummingbird
import NIOCore

extension Request {
    /// Checks that the body is sent as it is.
    ///
    /// - Throws: `APIError` 415 for a compressed body.
    func checkEncoding() throws(APIError) {
        let codings = headers[values: .contentEncoding].joined(separator: ",").split(separator: ",")
            .map { $0.trimming(" \t").lowercased() }
        guard let coding = codings.first(where: { !["", "identity"].contains($0) }) else { return }
        throw APIError(
            .unsupportedMediaType, code: "unsupported_encoding",
            "The body is compressed (Content-Encoding: \(coding.prefix(40))), and this server takes bodies as they"
                + " are: turn the compression of requests off in the client.")
    }

    /// Reads the whole body.
    ///
    /// The parts arrive on the threads that all tasks share, so that a slow client does not wait for the
    /// processing of other bodies between any two of them.
    ///
    /// - Throws: `APIError` 413 when it is larger than `limit` bytes, 415 when it is compressed.
    func readBody(upTo limit: Int) async throws -> [UInt8] {
        try checkEncoding()
        let tooLarge = APIError(
            .contentTooLarge, code: "request_too_large",
            "The body must have at most \(limit) bytes here; send smaller images, or a shorter prompt if there are"
                + " none.")
        // The announced length is checked first: the client then learns it without sending all.
        if let length = headers[.contentLength].flatMap(Int.init), length > limit {
            throw tooLarge
        }
        do {
            let body = body
            let buffer = try await withTaskExecutorPreference(globalConcurrentExecutor) {
                try await body.collect(upTo: limit)
            }
            return Array(buffer: buffer)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        } catch let error where !(error is CancellationError) {
            throw APIError(
                .badRequest, code: "invalid_body",
                "The body cannot be read: it ended early, or its chunks are damaged.")
        }
    }
}
