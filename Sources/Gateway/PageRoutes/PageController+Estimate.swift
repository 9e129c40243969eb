// Part of Inkstone. Licence: see LICENSE.

import Engine
import Hummingbird
import Parameters
import Service

/// The estimate of a request's cost.
private struct EstimateAnswer: Encodable {
    /// Seconds of work; unknown before the model's first image.
    var seconds: Double?
    /// Seconds of work on the requests ahead.
    var queueSeconds: Double?
    /// Unfinished requests ahead.
    var ahead: Int
    /// Evaluations of the model for each image, those of a second pass included.
    var evaluations: Int
    /// Bytes of activations.
    var memoryBytes: Int?
    /// Bytes of the model's weights.
    var modelBytes: Int?
    /// Bytes of free memory, of the GPU where the model is on one.
    var availableBytes: Int?
    var promptTokens: Int?
    var negativeTokens: Int?
    var tokenLimit: Int?

    private enum CodingKeys: String, CodingKey {
        case seconds, ahead, evaluations
        case queueSeconds = "queue_seconds"
        case memoryBytes = "memory_bytes"
        case modelBytes = "model_bytes"
        case availableBytes = "available_bytes"
        case promptTokens = "prompt_tokens"
        case negativeTokens = "negative_tokens"
        case tokenLimit = "token_limit"
    }
}

extension PageController {
    /// Stored jobs that are looked at once for each model after a start.
    private static let storedJobs = 30

    /// `POST /api/estimate`: time and memory of a job with the given fields, of which `prompt` may be empty.
    @Sendable
    func estimate(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.readBody(upTo: requests.limits.bodyBytes)
        let fields = try RequestFields(json: body)
        let call = try await requests.imageCall(fields).naming(
            fields.controls(of: requests.controlNets))
        let strength = try fields.number("strength")
        guard strength ?? 1 > 0, strength ?? 1 <= 1 else {
            throw APIError.invalid(
                "strength", "strength must be above 0 and at most 1, got \(strength ?? 1).")
        }
        try await learn(call.model.id)
        let forecast = try await forecaster?.forecast(of: call.request, model: call.model.id)
        let work = 1 + (forecast?.controlShare ?? 0)
        func seconds(strength: Double?) -> Double? {
            requests.meter.times.seconds(
                for: call.request, model: call.model.id, strength: strength
            ).map { $0 * work }
        }
        // The sizes of other requests are not considered: their steps count as steps of this one.
        let others = await requests.jobs.unfinished(for: .all).map(\.progress)
        let perStep = seconds(strength: nil).map {
            $0 / Double(call.request.parameters.evaluations(strength: nil) * call.request.count)
        }
        let left = others.map { other in
            other.secondsLeft ?? perStep.map { $0 * Double(other.steps - other.stepsDone) }
        }
        return .json(
            EstimateAnswer(
                seconds: seconds(strength: strength),
                queueSeconds: left.contains(nil) ? nil : left.compactMap(\.self).reduce(0, +),
                ahead: others.count,
                evaluations: call.request.parameters.evaluations(strength: strength),
                memoryBytes: forecast?.activationBytes, modelBytes: forecast?.weightBytes,
                availableBytes: forecast?.deviceMemory?.availableBytes ?? availableMemory(),
                promptTokens: forecast?.promptTokens, negativeTokens: forecast?.negativeTokens,
                tokenLimit: forecast?.tokenLimit))
    }

    /// Learns from stored jobs if this process has not finished an image of the model yet.
    private func learn(_ model: String) async throws {
        guard requests.meter.times.isEmpty(model: model) else { return }
        let query = JobQuery(.all, states: [.succeeded], limit: Self.storedJobs)
        for job in try await requests.jobs.jobs(query).reversed() where job.model == model {
            for image in job.images {
                requests.meter.times.record(image.seconds, job.request, model: model)
            }
        }
    }
}
