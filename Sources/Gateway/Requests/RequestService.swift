// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Engine
import Imaging
import Parameters
import Service

/// Reads requests for images, counts them against the limits of their keys, and runs them as jobs.
///
/// Every dialect submits its requests here.
struct RequestService: Sendable {
    /// Runs every request.
    let jobs: any JobQueue
    /// Counts the requests to the engine, and estimates `Retry-After`.
    let meter: EngineMeter
    /// LoRA files that requests may name.
    let loras: LoRARegistry
    /// ControlNets that requests may name.
    var controlNets = ControlNetRegistry()
    /// Whether files hold the generation parameters of requests that do not say.
    var embedsParameters = true
    /// Limits of request bodies.
    let limits: RequestLimits
    /// Whether the service is about to stop.
    let state: ServiceState
    let keyUsage = KeyUsage()

    /// The models that are loaded, the default one first.
    var models: [ModelDescription] {
        get async { await jobs.models }
    }

    /// The value of `Retry-After` while the queue is full.
    var retryAfter: Int { meter.retryAfter }

    /// Reads and checks a request for images.
    ///
    /// - Throws: `APIError`: what `ImageCall` says, or 503 when the service is about to stop.
    func imageCall(
        _ fields: RequestFields, source: RGBImage? = nil, mask: RGBImage? = nil,
        controls: [ControlInput] = []
    ) async throws -> ImageCall {
        let retryAfter = meter.retryAfter
        guard !state.isDraining else { throw APIError.draining(retryAfter: retryAfter) }
        return try await ImageCall(
            fields, source: source, mask: mask, models: await jobs.models,
            loras: loras, embedsParameters: embedsParameters, retryAfter: retryAfter
        ).resizingSource().adding(controls)
    }

    /// A call of a request that is checked already.
    ///
    /// - Parameters:
    ///   - request: the request.
    ///   - model: its model.
    ///   - controls: its controls.
    ///   - shown: the part of the images, from the upper left, that the client gets, which the maps are for.
    /// - Returns: the call.
    /// - Throws: `ImagingError`.
    func imageCall(
        _ request: ImageRequest, for model: ModelDescription, controls: [ControlInput] = [],
        shown: PixelSize
    ) async throws -> ImageCall {
        try await ImageCall(request: request, model: model).resizingSource()
            .adding(controls, shown: shown)
    }

    /// Accepts a request as a job that runs whether or not the client waits for it.
    ///
    /// - Throws: what `count` throws, `GenerationError`, or `JobStoreError`.
    func submit(
        _ call: ImageCall, _ submission: Submission, _ context: GatewayContext
    ) async throws -> Job {
        var submission = submission
        submission.isDetached = true
        let onEnd = try await count(call.request, context)
        return try await jobs.submit(
            call.submit(), model: call.model.id, submission, onEnd: onEnd)
    }

    /// Runs a request as a job that is cancelled when the iteration ends early.
    ///
    /// The request's log line has the times of the job; `onAccept` is called when it is accepted.
    ///
    /// - Throws: what `count` throws.
    func events(
        of call: ImageCall, _ submission: Submission, _ context: GatewayContext,
        onAccept: @escaping @Sendable (Job) -> Void = { _ in }
    ) async throws(APIError) -> JobEventStream {
        let onEnd = try await count(call.request, context)
        return jobs.events(
            for: call.submit(), model: call.model.id, submission,
            report: context.record?.begin(call.logEntry), onAccept: onAccept, onEnd: onEnd)
    }
}
