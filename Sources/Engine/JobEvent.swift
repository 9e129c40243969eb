// Part of Inkstone. Licence: see LICENSE.

public import Imaging

/// The events of a request, in order.
public enum JobEvent: Sendable {
    /// The request waits; `position` others are ahead of it.
    case queued(position: Int)
    /// Work on it has begun.
    case started
    /// Step `step` (from 1) of `steps` of image `image` (from 0) took `seconds`.
    case step(image: Int, step: Int, steps: Int, seconds: Double)
    /// A preview of the prediction of step `step`.
    case preview(image: Int, step: Int, RGBImage)
    /// A finished image.
    case image(GeneratedImage)
}

/// One finished image.
public struct GeneratedImage: Sendable {
    /// Index among the request's images, from 0.
    public var index: Int
    /// The seed of its noise.
    public var seed: UInt64
    /// The pixels.
    public var image: RGBImage
    /// SHA-256 of the pixels in lower-case hexadecimal.
    public var pixelDigest: String
    /// Whether the prompt exceeded the model's token limit.
    public var promptTruncated: Bool
    /// Durations of the stages.
    public var seconds: Timings
    /// Effects of the request's LoRA files.
    public var loras: [LoRANote] = []
    /// What generated it; `nil` if that was a worker of version 0.1.
    public var origin: ImageOrigin?
    /// The image as a PNG file with its generation parameters, once it has been encoded.
    public var png: [UInt8]?

    /// Creates an image of the given pixels and facts.
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

/// Durations of the stages of one image, in seconds.
public struct Timings: Sendable, Codable, Equatable {
    /// Encoding of the prompts and of a source image; near 0 for cached prompts.
    public var text: Double
    /// Each step.
    public var steps: [Double]
    /// Decoding of the latents, and enlarging for a second pass.
    public var decode: Double
    /// Work on this image: its share of all stages.
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

/// The reason why an accepted request produced no image.
public struct GenerationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    public enum Code: String, Sendable, Equatable, Codable, CaseIterable {
        /// A number left the range of floating point.
        case numeric
        /// Not enough memory, or too many requests waiting.
        case busy
        /// The worker process crashed repeatedly.
        case workerLost
        /// The model is not loaded.
        case notLoaded
        /// Its deadline passed.
        case deadline
        /// A LoRA file cannot be used.
        case lora
        /// A ControlNet, or what it should read, cannot be used.
        case control
        /// The disk is full or not writable.
        case storage
        /// The queue of a fleet cannot be reached, possibly temporarily.
        case queueUnreachable
        /// The server stopped, or was restarted, while a caller waited for the request.
        case serverStopped
        /// Anything else.
        case internalFailure

        /// Whether the same request may succeed later, so that its caller should send it again.
        public var isTransient: Bool {
            switch self {
            case .busy, .workerLost, .notLoaded, .storage, .queueUnreachable, .serverStopped: true
            case .numeric, .deadline, .lora, .control, .internalFailure: false
            }
        }
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
