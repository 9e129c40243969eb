// Part of Inkstone. Licence: see LICENSE.

import Engine
import Imaging
import NIOCore

/// A worker's message about a request, as the header of a frame; images follow as pixels.
enum WorkerMessage: Codable, Equatable {
    case queued(position: Int)
    case started
    case step(image: Int, step: Int, steps: Int, seconds: Double)
    /// The payload is `[height, width, 3]`.
    case preview(image: Int, step: Int, width: Int, height: Int)
    /// The payload is `[height, width, 3]`.
    case image(Image)
    /// A heartbeat: the engine's count, at equal intervals.
    case alive(heartbeat: Int)
    /// The last image was sent.
    case done
    case cancelled
    case failed(code: GenerationError.Code, message: String)

    /// The name that all versions read.
    private enum AliveCodingKeys: String, CodingKey { case heartbeat = "pulse" }

    /// A finished image without its pixels.
    struct Image: Codable, Equatable {
        var index: Int
        var seed: UInt64
        var width: Int
        var height: Int
        var pixelDigest: String
        var promptTruncated: Bool
        var seconds: Timings
        var loras: [LoRANote]
        /// Absent in workers of version 0.1.
        var origin: ImageOrigin?
    }

    /// The message that ends a request that failed.
    init(_ error: any Error) {
        switch error {
        case is CancellationError: self = .cancelled
        case let error as GenerationError:
            self = .failed(code: error.code, message: error.message)
        default: self = .failed(code: .internalFailure, message: "\(error)")
        }
    }

    /// An event as it goes over the wire.
    static func encode(_ event: JobEvent) throws -> ByteBuffer {
        switch event {
        case .queued(let position):
            try WorkerFrame.encode(WorkerMessage.queued(position: position))
        case .started:
            try WorkerFrame.encode(WorkerMessage.started)
        case .step(let image, let step, let steps, let seconds):
            try WorkerFrame.encode(
                WorkerMessage.step(image: image, step: step, steps: steps, seconds: seconds))
        case .preview(let image, let step, let preview):
            try WorkerFrame.encode(
                WorkerMessage.preview(
                    image: image, step: step, width: preview.width, height: preview.height),
                payload: preview.pixels)
        case .image(let image):
            try WorkerFrame.encode(
                WorkerMessage.image(
                    Image(
                        index: image.index, seed: image.seed, width: image.image.width,
                        height: image.image.height, pixelDigest: image.pixelDigest,
                        promptTruncated: image.promptTruncated, seconds: image.seconds,
                        loras: image.loras, origin: image.origin)),
                payload: image.image.pixels)
        }
    }

    /// The event of the message, or `nil` for one without an event.
    func event(pixels: [UInt8]) throws -> JobEvent? {
        switch self {
        case .queued(let position): .queued(position: position)
        case .started: .started
        case .step(let image, let step, let steps, let seconds):
            .step(image: image, step: step, steps: steps, seconds: seconds)
        case .preview(let image, let step, let width, let height):
            .preview(
                image: image, step: step,
                try RGBImage(width: width, height: height, pixels: pixels))
        case .image(let image):
            .image(try image.generated(pixels))
        case .alive, .done, .cancelled, .failed: nil
        }
    }
}

extension WorkerMessage.Image {
    /// The image with its pixels.
    fileprivate func generated(_ pixels: [UInt8]) throws -> GeneratedImage {
        var made = GeneratedImage(
            index: index, seed: seed,
            image: try RGBImage(width: width, height: height, pixels: pixels),
            pixelDigest: pixelDigest, promptTruncated: promptTruncated, seconds: seconds)
        made.loras = loras
        made.origin = origin
        return made
    }
}
