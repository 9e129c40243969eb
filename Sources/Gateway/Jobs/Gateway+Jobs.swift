// Part of Inkstone. Licence: see LICENSE.

import Engine
import Service

extension Gateway {
    /// Runs a call as a job to its end and returns its pictures in order; `onStart` is called when
    /// work on it begins.
    ///
    /// - Throws: `GenerationError`, `APIError`, or `CancellationError` when the client leaves or
    ///   somebody cancels the job.
    func pictures(
        of call: ImageCall, _ submission: Submission, _ context: GatewayContext,
        onStart: () -> Void = {}
    ) async throws -> [GeneratedImage] {
        var pictures: [GeneratedImage] = []
        for try await event in try await events(of: call, submission, context) {
            if case .started = event { onStart() }
            if case .image(let image) = event { pictures.append(image) }
        }
        // A cancelled iteration ends without an error.
        try Task.checkCancellation()
        guard pictures.count == call.request.count else {
            throw GenerationError(
                .internalFailure,
                "The generator ended after \(pictures.count) of \(call.request.count) pictures.")
        }
        return pictures.sorted { $0.index < $1.index }
    }
}
