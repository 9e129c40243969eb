// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Imaging
import Synchronization
public import Tensors
public import ZImage

/// Runs requests on one pipeline, one after the other, and reports what happens to them.
///
/// The pictures of one request share a batch where memory allows: every picture is the same, to the
/// bit, as it would be alone.
public final class InferenceEngine: ImageGenerating, Sendable {
    /// Tokens of the largest batch; more would not be faster, only larger.
    private static let batchTokens = 8192

    /// The pipeline that does the work.
    public let pipeline: Pipeline<CPUBackend>
    /// What clients may know about the model.
    public let description: ModelDescription
    private let waitingLimit: Int
    /// The one thread that works: a pipeline takes one call at a time.
    private let queue = DispatchQueue(label: "inkstone.engine", qos: .userInitiated)
    private let waiting = Mutex<[Ticket]>([])

    /// A request that waits or runs.
    private final class Ticket: Sendable {
        let cancelled = Atomic(false)
        let started = Atomic(false)
        let continuation: AsyncThrowingStream<JobEvent, any Error>.Continuation

        init(_ continuation: AsyncThrowingStream<JobEvent, any Error>.Continuation) {
            self.continuation = continuation
        }
    }

    /// An engine over a loaded pipeline.
    ///
    /// - Parameters:
    ///   - pipeline: a loaded model.
    ///   - waitingLimit: requests that may wait; more are refused as busy.
    public init(pipeline: Pipeline<CPUBackend>, waitingLimit: Int = 16) {
        self.pipeline = pipeline
        self.waitingLimit = waitingLimit
        description = ModelDescription(pipeline: pipeline)
    }

    /// The one model that is loaded.
    public var models: [ModelDescription] {
        get async { [description] }
    }

    /// What the prompt cache has done and holds, or `nil` where it is off.
    public var promptCacheInfo: PromptCacheInfo? { pipeline.promptCache?.info }

    /// Queues a request; see `ImageGenerating`.
    ///
    /// The stream buffers all events: there are a few for each step, and a preview is small.
    public func events(
        for request: ImageRequest, model: String
    ) -> AsyncThrowingStream<JobEvent, any Error> {
        AsyncThrowingStream { continuation in
            guard model == description.id else {
                continuation.finish(
                    throwing: GenerationError(
                        .notLoaded, "model '\(model)' is not loaded; '\(description.id)' is."))
                return
            }
            let ticket = Ticket(continuation)
            continuation.onTermination = { _ in
                ticket.cancelled.store(true, ordering: .relaxed)
                // Nobody waits for it any longer: its place is free at once.
                if !ticket.started.load(ordering: .relaxed) { self.leave(ticket) }
            }
            let place = waiting.withLock { waiting -> Int? in
                // The first in the list is the one that runs.
                guard waiting.count <= waitingLimit else { return nil }
                waiting.append(ticket)
                return waiting.count - 1
            }
            guard let place else {
                continuation.finish(
                    throwing: GenerationError(
                        .busy,
                        "\(waitingLimit) requests are waiting already; try again in a moment."))
                return
            }
            continuation.yield(.queued(position: place))
            queue.async { self.work(on: ticket, request) }
        }
    }

    /// Takes a request out of the list and tells the others their new places.
    private func leave(_ ticket: Ticket) {
        let rest = waiting.withLock { waiting -> [Ticket] in
            guard let place = waiting.firstIndex(where: { $0 === ticket }) else { return [] }
            waiting.remove(at: place)
            return waiting
        }
        for (place, other) in rest.enumerated()
        where !other.started.load(ordering: .relaxed) {
            other.continuation.yield(.queued(position: place))
        }
    }

    private func work(on ticket: Ticket, _ request: ImageRequest) {
        ticket.started.store(true, ordering: .relaxed)
        defer { leave(ticket) }
        do {
            try run(request, isCancelled: { ticket.cancelled.load(ordering: .relaxed) }) {
                ticket.continuation.yield($0)
            }
            ticket.continuation.finish()
        } catch {
            ticket.continuation.finish(throwing: error)
        }
    }

    // MARK: - Synchronous runs

    /// What parity checks add to a request.
    package struct RunOptions: Sendable {
        /// Initial noise instead of the seed's.
        package var noise: [Float]?
        /// Called with the tensors of each picture.
        package var onTrace: (@Sendable (Trace) -> Void)?
        /// Whether previews are made.
        package var previews = true

        package init() {}
    }

    /// Runs a request on the calling thread.
    ///
    /// - Parameters:
    ///   - request: what to draw.
    ///   - options: what a parity check adds.
    ///   - isCancelled: asked before every step.
    ///   - onEvent: told what happens.
    /// - Throws: `GenerationError` or `CancellationError`.
    package func run(
        _ request: ImageRequest, options: RunOptions = RunOptions(),
        isCancelled: () -> Bool, onEvent: (JobEvent) -> Void
    ) throws {
        if isCancelled() { throw CancellationError() }
        onEvent(.started)
        defer { pipeline.device.trim() }
        do {
            var next = 0
            while next < request.count {
                next += try runBatch(
                    request, from: next, options: options, isCancelled: isCancelled,
                    onEvent: onEvent)
            }
        } catch let error as NumericError {
            throw GenerationError(.numeric, error.description)
        } catch let error as MemoryError {
            throw GenerationError(.busy, error.description)
        } catch let error as CancellationError {
            throw error
        } catch let error as GenerationError {
            throw error
        } catch {
            throw GenerationError(.internalFailure, "\(error)")
        }
    }

    /// Runs as many pictures from index `first` on as one batch holds; returns how many.
    private func runBatch(
        _ request: ImageRequest, from first: Int, options: RunOptions, isCancelled: () -> Bool,
        onEvent: (JobEvent) -> Void
    ) throws -> Int {
        let clock = ContinuousClock()
        var generations = [try pipeline.begin(input(request, first, options))]
        let fitting = max(1, Self.batchTokens / generations[0].tokens)
        let count = min(request.count - first, fitting)
        for index in 1..<max(1, count) {
            if isCancelled() { throw CancellationError() }
            generations.append(
                try pipeline.begin(
                    input(request, first + index, options), sibling: generations[0]))
        }
        while !generations[0].isFinished {
            if isCancelled() { throw CancellationError() }
            try pipeline.step(&generations)
            for (index, generation) in generations.enumerated() {
                onEvent(
                    .step(
                        image: first + index, step: generation.step,
                        steps: generation.schedule.steps,
                        seconds: generation.stepSeconds.last ?? 0))
                if options.previews, !generation.isFinished,
                    let preview = pipeline.preview(generation)
                {
                    onEvent(.preview(image: first + index, step: generation.step, preview))
                }
            }
        }
        for index in generations.indices {
            if isCancelled() { throw CancellationError() }
            let decodeStart = clock.now
            let image = try pipeline.finish(&generations[index])
            let decodeSeconds = (clock.now - decodeStart).inSeconds
            let generation = generations[index]
            if let trace = generation.trace { options.onTrace?(trace) }
            // The pictures of a batch share its steps evenly.
            let steps = generation.stepSeconds.map { $0 / Double(count) }
            onEvent(
                .image(
                    GeneratedImage(
                        index: first + index, seed: request.seed &+ UInt64(first + index),
                        image: image, pixelDigest: digest(image.pixels),
                        promptTruncated: generation.promptTruncated,
                        seconds: Timings(
                            text: generation.inputSeconds, steps: steps, decode: decodeSeconds,
                            total: steps.reduce(generation.inputSeconds + decodeSeconds, +)))))
        }
        return count
    }

    private func input(
        _ request: ImageRequest, _ index: Int, _ options: RunOptions
    ) -> PipelineInput {
        var input = PipelineInput(
            prompt: request.prompt, width: request.size.width, height: request.size.height,
            steps: request.steps, guidanceScale: request.guidanceScale,
            seed: request.seed &+ UInt64(index))
        input.negativePrompt = request.negativePrompt
        input.cfgNormalization = request.cfgNormalization
        input.cfgTruncation = request.cfgTruncation
        input.source = request.source?.image
        input.strength = request.source?.strength ?? 1
        input.noise = options.noise
        input.keepsTrace = options.onTrace != nil
        return input
    }
}
