// Part of Inkstone. Licence: see LICENSE.

import Catalog
package import Foundation
package import ModelFiles
import Parameters
package import Tensors
import ZImage

/// The expected tokens and memory of a request, from a model's small files.
public struct RequestForecast: Sendable, Equatable {
    /// Number of tokens of the prompt, with the model's template.
    public var promptTokens: Int
    /// Number of tokens of the negative prompt; 0 without guidance.
    public var negativeTokens: Int
    /// Maximum number of tokens of each; the rest is truncated.
    public var tokenLimit: Int
    /// Bytes of weights, for all requests together.
    public var weightBytes: Int
    /// Approximate bytes of activations.
    public var activationBytes: Int
    /// Work of the ControlNets as a share of the model's own.
    public var controlShare = 0.0
    /// Memory of the GPU that it runs on; `nil` on the processor, or while it is unknown.
    public var deviceMemory: DeviceMemoryUse?

    /// All fields.
    public init(
        promptTokens: Int, negativeTokens: Int, tokenLimit: Int, weightBytes: Int,
        activationBytes: Int
    ) {
        self.promptTokens = promptTokens
        self.negativeTokens = negativeTokens
        self.tokenLimit = tokenLimit
        self.weightBytes = weightBytes
        self.activationBytes = activationBytes
    }
}

/// A generator that forecasts requests.
public protocol RequestForecasting: Sendable {
    /// The forecast of a request, or `nil` while its model is not loaded.
    func forecast(of request: ImageRequest, model: String) async throws -> RequestForecast?
}

/// Forecasts for one model, from its tokenizer and memory plan, without its weights.
package struct RequestForecaster: Sendable {
    private static let tokenLimit = 512
    private let tokenizer: QwenTokenizer
    private let memory: MemoryPlan
    private let model: ModelDirectory
    private let precision: Precision
    private let controlNets: ControlNetRegistry

    /// Reads the tokenizer and the headers of the weight files; requests may name the ControlNets of a folder.
    ///
    /// - Throws: `CheckpointError`, `TokenizerError`.
    package init(
        model: ModelDirectory, precision: Precision, controlNetFolder: URL? = nil
    ) throws {
        self.model = model
        self.precision = precision
        controlNets = ControlNetRegistry(
            folder: controlNetFolder, models: [model.url], roots: ModelLocator().roots)
        tokenizer = try QwenTokenizer(directory: model.tokenizerURL)
        memory = try MemoryPlan(model: model, precision: precision)
    }

    /// The forecast of a request.
    package func forecast(of request: ImageRequest) -> RequestForecast {
        let isGuided = request.guidanceScale > 0
        func tokens(_ text: String) -> Int {
            tokenizer.encodePrompt(text, maxLength: Self.tokenLimit).fullLength
        }
        let nets = Set(request.controls.map(\.model)).compactMap { name in
            (try? controlNets.find(name)).flatMap {
                try? ControlNetPlan(of: $0.url, for: model, precision: precision)
            }
        }
        var forecast = RequestForecast(
            promptTokens: tokens(request.prompt),
            negativeTokens: isGuided ? tokens(request.negativePrompt) : 0,
            tokenLimit: Self.tokenLimit,
            weightBytes: memory.residentBytes + nets.reduce(0) { $0 + $1.weightBytes },
            activationBytes: memory.activationBytes(
                of: request.parameters, sequences: request.count * (isGuided ? 2 : 1)))
        forecast.controlShare = nets.reduce(0) { $0 + $1.share }
        return forecast
    }
}
