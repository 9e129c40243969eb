// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// An engine that may not be there yet: a server answers health checks while weights load.
public final class DeferredEngine: ImageGenerating, Sendable {
    private let engine = Mutex<InferenceEngine?>(nil)

    /// An engine that is still missing.
    public init() {}

    /// Puts the loaded engine in place.
    public func finishLoading(_ loaded: InferenceEngine) {
        engine.withLock { $0 = loaded }
    }

    /// The loaded model, or none while it loads.
    public var models: [ModelDescription] {
        get async { engine.withLock { $0 }.map { [$0.description] } ?? [] }
    }

    /// Runs a request as `ImageGenerating` says; fails with `GenerationError.notLoaded` while loading.
    public func events(
        for request: ImageRequest, model: String
    ) -> AsyncThrowingStream<JobEvent, any Error> {
        if let engine = engine.withLock({ $0 }) {
            return engine.events(for: request, model: model)
        }
        return AsyncThrowingStream {
            $0.finish(
                throwing: GenerationError(
                    .notLoaded, "the model is still loading; try again in a moment."))
        }
    }
}
