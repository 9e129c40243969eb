// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Foundation
import Imaging
import Parameters
import Synchronization

/// An engine whose images are a plain colour that follows from the seed, and which waits where a
/// test wants it to.
final class FakeEngine: ImageGenerating, ModelListing {
    /// Requests that were run, and how many were given up.
    let state = Mutex<(requests: [ImageRequest], abandoned: Int)>(([], 0))
    /// No request passes its first step while this is shut.
    let gate = Mutex(true)
    /// The error of requests for "fails".
    let failure = Mutex(GenerationError(.numeric, "A number left the range."))

    let description = ModelDescription.example

    var models: [ModelDescription] { get async { [description] } }

    static func image(seed: UInt64, size: PixelSize) throws -> RGBImage {
        let colour = (0..<3).map { UInt8(truncatingIfNeeded: seed >> (8 * UInt64($0))) }
        return try RGBImage(
            width: size.width, height: size.height,
            pixels: (0..<(size.width * size.height)).flatMap { _ in colour })
    }

    func events(for request: ImageRequest, model: String) -> JobEventStream {
        state.withLock { $0.requests.append(request) }
        return JobEventStream { feed in
            do {
                try await self.run(request, feed)
            } catch let error as CancellationError {
                self.state.withLock { $0.abandoned += 1 }
                throw error
            }
        }
    }

    private func run(_ request: ImageRequest, _ feed: JobEventStream.Feed) async throws {
        feed.yield(.queued(position: 0))
        feed.yield(.started)
        if request.prompt == "fails" { throw failure.withLock { $0 } }
        for index in 0..<request.count {
            for step in 1...request.steps {
                feed.yield(.step(image: index, step: step, steps: request.steps, seconds: 0.1))
                while !gate.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(1)) }
            }
            let seed = request.seed &+ UInt64(index)
            let image = try Self.image(seed: seed, size: request.size)
            feed.yield(
                .image(
                    GeneratedImage(
                        index: index, seed: seed, image: image,
                        pixelDigest: SHA256.hexadecimal(image.pixels), promptTruncated: false,
                        seconds: Timings(text: 0, steps: [0.1], decode: 0.1, total: 0.2))))
        }
    }

    func request(
        _ prompt: String = "a cat", count: Int = 1, seed: UInt64 = 7, source: RGBImage? = nil
    ) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: prompt)
        draft.count = count
        draft.seed = seed
        draft.steps = 3
        (draft.width, draft.height) = (32, 16)
        draft.source = source.map { .init(image: $0) }
        draft.strength = 0.5
        return try ImageRequest(draft, for: description)
    }
}

extension ModelDescription {
    /// What a small model says of itself.
    static let example = ModelDescription(
        id: "example", name: "Example", summary: [:], license: "none",
        defaults: .init(
            size: PixelSize(width: 32, height: 32), steps: 4, guidanceScale: 0,
            negativePrompt: ""),
        limits: .init(
            maximumWidth: 512, maximumHeight: 512, maximumSteps: 100, maximumCount: 10,
            maximumPromptLength: 2000, sizeMultiple: 16),
        sizes: [], presets: [], examples: [:], parameterCount: 1, precision: "f32",
        kernels: "portable", loadedAt: 0)
}

/// A folder that goes with the test.
final class TemporaryFolder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }
}
