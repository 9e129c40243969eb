// Part of Inkstone. Licence: see LICENSE.

import Engine
import Service

extension RequestService {
    /// Runs a call as a job to its end and returns its images in order; `onAccept` is called when the job is
    /// accepted, `onStart` when work on it begins.
    ///
    /// - Throws: `GenerationError`, `APIError`, or `CancellationError` when the client leaves or the job is
    ///   cancelled.
    func images(
        of call: ImageCall, _ submission: Submission, _ context: GatewayContext,
        onStart: () -> Void = {}, onAccept: @escaping @Sendable (Job) -> Void = { _ in }
    ) async throws -> [GeneratedImage] {
        var images: [GeneratedImage] = []
        let events = try await events(of: call, submission, context, onAccept: onAccept)
        for try await event in events {
            if case .started = event { onStart() }
            if case .image(let image) = event { images.append(image) }
        }
        guard images.count == call.request.count else {
            throw GenerationError(
                .internalFailure,
                "The generator ended after \(images.count) of \(call.request.count) images.")
        }
        return images.sorted { $0.index < $1.index }
    }
}
