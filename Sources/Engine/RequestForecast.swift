// Part of Inkstone. Licence: see LICENSE.

package import ModelFiles
import Parameters
package import Tensors
import ZImage

/// What a request will take, as far as a model's small files tell it.
public struct RequestForecast: Sendable, Equatable {
    /// Tokens of the prompt with the words that the model's template puts around it.
    public var promptTokens: Int
    /// The same of the negative prompt; 0 without guidance.
    public var negativeTokens: Int
    /// Tokens that the model reads of each; the rest has no effect.
    public var tokenLimit: Int
    /// Bytes of weights, for all requests together.
    public var weightBytes: Int
    /// Bytes of activations, roughly.
    public var activationBytes: Int

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

/// A generator that knows beforehand what a request takes.
public protocol RequestForecasting: Sendable {
    /// What a request will take, or `nil` while its model is not there.
    func forecast(of request: ImageRequest, model: String) async throws -> RequestForecast?
}

/// Forecasts for one model; needs its tokenizer and its plan, but none of its weights.
package struct RequestForecaster: Sendable {
    private static let tokenLimit = 512
    private let tokenizer: QwenTokenizer
    private let memory: MemoryPlan

    /// Reads the tokenizer and the heads of the weight files.
    ///
    /// - Throws: `CheckpointError`, `TokenizerError`.
    package init(model: ModelDirectory, precision: Precision) throws {
        tokenizer = try QwenTokenizer(directory: model.tokenizerURL)
        memory = try MemoryPlan(model: model, precision: precision)
    }

    /// What a request will take.
    package func forecast(of request: ImageRequest) -> RequestForecast {
        let isGuided = request.guidanceScale > 0
        func tokens(_ text: String) -> Int {
            tokenizer.encodePrompt(text, maxLength: Self.tokenLimit).fullLength
        }
        return RequestForecast(
            promptTokens: tokens(request.prompt),
            negativeTokens: isGuided ? tokens(request.negativePrompt) : 0,
            tokenLimit: Self.tokenLimit,
            weightBytes: memory.residentBytes,
            activationBytes: memory.activationBytes(
                width: request.size.width, height: request.size.height,
                sequences: request.count * (isGuided ? 2 : 1)))
    }
}
