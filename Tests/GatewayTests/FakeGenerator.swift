// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Parameters
import Synchronization

/// A generator of plain images, which succeeds, fails or hangs as a test requires.
final class FakeGenerator: ImageGenerating, ModelListing {
    enum Behaviour: Sendable {
        /// Queued, started, then steps, previews and images.
        case draw
        /// Fails instead of the first event.
        case refuse(GenerationError)
        /// Fails after the first step.
        case fail(GenerationError)
        /// Starts and never ends.
        case hang
        /// Waits for `resume` after the first preview.
        case pause
        /// The same, for prompts that begin with `hold`; others are drawn.
        case hold
    }

    let list: [ModelDescription]
    let behaviour: Behaviour
    /// Yields once for every request that begins.
    let beginnings: AsyncStream<Void>
    /// Yields once for every request that was cancelled.
    let cancellations: AsyncStream<Void>
    private let began: AsyncStream<Void>.Continuation
    private let cancelled: AsyncStream<Void>.Continuation
    private let received = Mutex<[ImageRequest]>([])
    private let paused = Mutex<[@Sendable () -> Void]>([])

    /// Images are larger than requested by this factor.
    private let scale: Int
    /// What the images name as their origin.
    private let origin: ImageOrigin?

    init(
        _ behaviour: Behaviour = .draw, isLoaded: Bool = true, scale: Int = 1,
        origin: ImageOrigin? = nil
    ) throws {
        self.scale = scale
        self.origin = origin
        self.behaviour = behaviour
        list = isLoaded ? [try .tiny(), try .slashed()] : []
        (beginnings, began) = AsyncStream.makeStream()
        (cancellations, cancelled) = AsyncStream.makeStream()
    }

    /// The requests that reached the engine.
    var requests: [ImageRequest] { received.withLock { $0 } }

    var models: [ModelDescription] {
        get async { list }
    }

    func events(for request: ImageRequest, model: String) -> JobEventStream {
        received.withLock { $0.append(request) }
        let (stream, feed) = JobEventStream.makeStream()
        feed.onCancel { [cancelled] in cancelled.yield() }
        switch behaviour {
        case .refuse(let error):
            feed.finish(throwing: error)
            return stream
        case .hang:
            feed.yield(.started)
            began.yield()
            return stream
        case .draw, .fail, .pause, .hold:
            break
        }
        // Not before a paused request waits: a test may resume it at once.
        defer { began.yield() }
        feed.yield(.queued(position: 1))
        feed.yield(.started)
        do {
            let isPaused =
                switch behaviour {
                case .pause: true
                case .hold: request.prompt.hasPrefix("hold")
                default: false
                }
            if isPaused {
                try pause(request, feed)
                return stream
            }
            try draw(request) { feed.yield($0) }
            feed.finish()
        } catch {
            feed.finish(throwing: error)
        }
        return stream
    }

    /// Continues every paused request to its end.
    func resume() {
        let rest = paused.withLock { paused in
            defer { paused.removeAll() }
            return paused
        }
        for work in rest { work() }
    }

    /// Runs a body while every paused request continues, also those that begin meanwhile.
    func resuming<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        let resuming = Task {
            while !Task.isCancelled {
                self.resume()
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        defer { resuming.cancel() }
        return try await body()
    }

    /// Yields the first step with its preview; the remaining events wait for `resume`.
    private func pause(_ request: ImageRequest, _ feed: JobEventStream.Feed) throws {
        var events: [JobEvent] = []
        try draw(request) { events.append($0) }
        for event in events.prefix(2) { feed.yield(event) }
        let rest = events.dropFirst(2)
        paused.withLock { paused in
            paused.append {
                for event in rest { feed.yield(event) }
                feed.finish()
            }
        }
    }

    private func draw(_ request: ImageRequest, yield: (JobEvent) -> Void) throws {
        let size = request.size
        for image in 0..<request.count {
            for step in 1...request.steps {
                yield(.step(image: image, step: step, steps: request.steps, seconds: 0.25))
                if case .fail(let error) = behaviour { throw error }
                let preview = try RGBImage(
                    width: size.width / 8, height: size.height / 8,
                    filledWith: (UInt8(step), 0, 0))
                yield(.preview(image: image, step: step, preview))
            }
            let picture = try RGBImage(
                width: size.width * scale, height: size.height * scale,
                filledWith: (200, UInt8(truncatingIfNeeded: request.seed), UInt8(image)))
            var made = GeneratedImage(
                index: image, seed: request.seed &+ UInt64(image), image: picture,
                pixelDigest: "00", promptTruncated: request.prompt.count > 100,
                seconds: Timings(
                    text: 0.5, steps: Array(repeating: 0.25, count: request.steps),
                    decode: 0.125, total: 1))
            made.origin = origin
            yield(.image(made))
        }
    }
}

extension ModelDescription {
    /// Generates 32x16 images in 4 steps, and lists the words that it knows.
    static func tiny() throws -> ModelDescription {
        var model = try make(id: "tiny")
        model.words = ["en": ["red circle", "circle"], "zh": ["圆形"]]
        return model
    }

    /// Its id has a slash, as those of many model hubs do.
    static func slashed() throws -> ModelDescription { try make(id: "maker/large") }

    private static func make(id: String) throws -> ModelDescription {
        let text = """
            {"id": "\(id)", "name": "The \(id) model", "summary": {"en": "Small.", "zh": "小。"},
             "license": "Apache-2.0", "parameterCount": 1000, "precision": "f32",
             "kernels": "portable", "loadedAt": 1700000000,
             "defaults": {"size": {"width": 32, "height": 16}, "steps": 4, "guidanceScale": 0,
              "negativePrompt": ""},
             "limits": {"maximumWidth": 64, "maximumHeight": 64, "maximumSteps": 20,
              "maximumCount": 4, "maximumPromptLength": 500, "sizeMultiple": 16},
             "sizes": [{"width": 32, "height": 16}],
             "presets": [{"id": "fast", "name": {"en": "Fast", "zh": "快"},
              "size": {"width": 16, "height": 16}, "steps": 2, "guidanceScale": 0}],
             "examples": {"en": ["a red circle"], "zh": ["红色圆形"]}}
            """
        return try JSONDecoder().decode(ModelDescription.self, from: Data(text.utf8))
    }
}
