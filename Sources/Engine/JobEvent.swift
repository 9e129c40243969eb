// Part of Inkstone. Licence: see LICENSE.

public import Imaging

/// What happens to a request, in order, on its way to pictures.
public enum JobEvent: Sendable {
    /// The request waits; `position` others are before it.
    case queued(position: Int)
    /// Work on it has begun.
    case started
    /// Step `step` (from 1) of `steps` of picture `image` (from 0) took `seconds`.
    case step(image: Int, step: Int, steps: Int, seconds: Double)
    /// A small picture of what step `step` predicts.
    case preview(image: Int, step: Int, RGBImage)
    /// A finished picture.
    case image(GeneratedImage)
}

/// One finished picture.
public struct GeneratedImage: Sendable {
    /// Which of the request's pictures this is, from 0.
    public var index: Int
    /// The seed it was drawn from.
    public var seed: UInt64
    /// The pixels.
    public var image: RGBImage
    /// SHA-256 of the pixels in lower-case hexadecimal.
    public var pixelDigest: String
    /// Whether the prompt was longer than the model reads.
    public var promptTruncated: Bool
    /// Where the time went.
    public var seconds: Timings
    /// What the request's LoRA files did.
    public var loras: [LoRANote] = []
    /// The picture as a PNG file that says how it was made, once somebody has written one.
    public var png: [UInt8]?

    /// A picture of the given pixels and story.
    public init(
        index: Int, seed: UInt64, image: RGBImage, pixelDigest: String, promptTruncated: Bool,
        seconds: Timings
    ) {
        self.index = index
        self.seed = seed
        self.image = image
        self.pixelDigest = pixelDigest
        self.promptTruncated = promptTruncated
        self.seconds = seconds
    }
}

/// Seconds that the stages of one picture took.
public struct Timings: Sendable, Codable, Equatable {
    /// Encoding of the prompts and of a picture to start from; next to 0 for prompts known already.
    public var text: Double
    /// Each step.
    public var steps: [Double]
    /// Decoding of the latents.
    public var decode: Double
    /// Work on this picture: its share of all stages.
    public var total: Double

    /// Timings of the given stages.
    public init(text: Double, steps: [Double], decode: Double, total: Double) {
        self.text = text
        self.steps = steps
        self.decode = decode
        self.total = total
    }
}

/// Generates images: the engine, a pool of workers, or a stand-in in tests.
public protocol ImageGenerating: Sendable {
    /// Runs a request and reports its events.
    ///
    /// The stream ends after the last image, or throws `GenerationError` or `CancellationError`.
    /// Ending the iteration early cancels the request within one step.
    func events(for request: ImageRequest, model: String) -> JobEventStream
}

/// Lists the models that requests may name.
public protocol ModelListing: Sendable {
    /// The models; the first one is the default.
    var models: [ModelDescription] { get async }

    /// Waits until there is a model.
    ///
    /// - Throws: `CancellationError`.
    func waitForModels() async throws
}

extension ModelListing {
    /// Returns at once: the models are there from the start.
    public func waitForModels() async throws {}
}

/// Why an accepted request produced no picture.
public struct GenerationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    public enum Code: String, Sendable, Equatable, Codable {
        /// A number left the range of floating point.
        case numeric
        /// Not enough memory, or too many requests waiting.
        case busy
        /// The process that drew ended, again and again.
        case workerLost
        /// The model is not loaded.
        case notLoaded
        /// Its time was over before it was done.
        case deadline
        /// A LoRA file cannot be used.
        case lora
        /// There is no room on the disk, or it cannot be written to.
        case storage
        /// The queue of a fleet cannot be reached; it may pass.
        case queueUnreachable
        /// Anything else.
        case internalFailure
    }

    /// Coarse reason.
    public let code: Code
    /// One sentence: what happened, where, and what to do.
    public let message: String

    /// An error of the given code.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
