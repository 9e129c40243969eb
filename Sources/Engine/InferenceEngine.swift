// Part of Inkstone. Licence: see LICENSE.

public import Catalog
import Dispatch
import ModelFiles
import Synchronization
public import Tensors
public import ZImage

/// Runs requests on one pipeline and reports what happens to them.
///
/// Requests share the device step by step (see `StepScheduler`); every picture is the same, to the
/// bit, as it would be alone.
public final class InferenceEngine: ImageGenerating, ModelListing, Sendable {
    /// The pipeline that does the work.
    public let pipeline: Pipeline<CPUBackend>
    /// What clients may know about the model.
    public let description: ModelDescription
    /// How much it takes on at once.
    public let limits: SchedulerLimits
    /// Files that requests may name.
    public let loras: LoRARegistry
    private let onPass: (@Sendable (PassReport) -> Void)?
    /// The one thread that works: a pipeline takes one call at a time.
    private let queue = DispatchQueue(label: "inkstone.engine", qos: .userInitiated)
    private let state = Mutex(State())
    private let heartbeats = Atomic(0)

    private struct State {
        /// Requests that wait.
        var waiting = PriorityQueue<Ticket>()
        /// Requests that share the device.
        var running = 0
        /// Whether the thread is at work.
        var isAwake = false

        /// How many must end or begin before the request at `index` of the waiting ones begins.
        func place(_ index: Int, _ limits: SchedulerLimits) -> Int {
            max(0, index + 1 + running - limits.running)
        }
    }

    /// A request that waits or runs.
    private final class Ticket: Sendable {
        let request: ImageRequest
        let cancelled = Atomic(false)
        let feed: JobEventStream.Feed

        init(_ request: ImageRequest, _ feed: JobEventStream.Feed) {
            self.request = request
            self.feed = feed
        }
    }

    /// An engine over a loaded pipeline.
    ///
    /// - Parameters:
    ///   - pipeline: a loaded model.
    ///   - limits: how much it takes on at once.
    ///   - loras: files that requests may name; those of the model's folder if not given.
    ///   - onPass: told about every pass, on the thread that works.
    public init(
        pipeline: Pipeline<CPUBackend>, limits: SchedulerLimits = SchedulerLimits(),
        loras: LoRARegistry? = nil, onPass: (@Sendable (PassReport) -> Void)? = nil
    ) {
        self.pipeline = pipeline
        self.loras = loras ?? LoRARegistry(models: [pipeline.model.url])
        self.limits = limits
        self.onPass = onPass
        description = ModelDescription(pipeline: pipeline)
    }

    /// The one model that is loaded.
    public var models: [ModelDescription] {
        get async { [description] }
    }

    /// What the prompt cache has done and holds, or `nil` where it is off.
    public var promptCacheInfo: PromptCacheInfo? { pipeline.promptCache?.info }

    /// LoRA files that are in memory.
    package var loadedLoRAs: [String] { pipeline.loadedLoRAs }

    /// Requests that share the device, and requests that wait.
    public var load: (running: Int, waiting: Int) {
        state.withLock { ($0.running, $0.waiting.count) }
    }

    /// Grows with every unit of work and every layer; an engine that has requests and whose heartbeat
    /// does not change hangs.
    package var heartbeat: Int { heartbeats.load(ordering: .relaxed) }

    /// Queues a request; see `ImageGenerating`.
    public func events(for request: ImageRequest, model: String) -> JobEventStream {
        guard model == description.id else {
            return JobEventStream(
                [],
                throwing: GenerationError(
                    .notLoaded, "model '\(model)' is not loaded; '\(description.id)' is."))
        }
        let (stream, feed) = JobEventStream.makeStream()
        let ticket = Ticket(request, feed)
        let (isAccepted, mustWake) = state.withLock { state in
            let total = state.running + state.waiting.count
            guard total < limits.running + limits.waiting else { return (false, false) }
            let index = state.waiting.append(ticket, request.priority)
            // Within the lock, so that no other event overtakes it.
            feed.yield(.queued(position: state.place(index, limits)))
            if index < state.waiting.count - 1 { reportPlaces(state) }
            defer { state.isAwake = true }
            return (true, !state.isAwake)
        }
        guard isAccepted else {
            return JobEventStream(
                [],
                throwing: GenerationError(
                    .busy,
                    "\(limits.running) requests are in work and \(limits.waiting) are waiting"
                        + " already; try again in a moment."))
        }
        feed.onCancel { self.cancel(ticket) }
        if mustWake { queue.async { self.work() } }
        return stream
    }

    /// Marks a request as cancelled; one that waits leaves the queue at once.
    private func cancel(_ ticket: Ticket) {
        ticket.cancelled.store(true, ordering: .relaxed)
        state.withLock { state in
            if state.waiting.removeAll(where: { $0 === ticket }) { reportPlaces(state) }
        }
    }

    private func reportPlaces(_ state: borrowing State) {
        for (index, ticket) in state.waiting.elements.enumerated() {
            ticket.feed.yield(.queued(position: state.place(index, limits)))
        }
    }

    /// Works until nothing is left to do.
    private func work() {
        let scheduler = StepScheduler(
            pipeline: pipeline, passTokens: limits.passTokens, onPass: onPass
        ) { self.admit(to: $0) }
        repeat {
            while scheduler.advance() {}
            pipeline.device.trim()
        } while state.withLock { state in
            state.isAwake = !state.waiting.isEmpty
            return state.isAwake
        }
    }

    /// Moves waiting requests to the scheduler, as many as may share the device.
    private func admit(to scheduler: StepScheduler) {
        heartbeats.wrappingAdd(1, ordering: .relaxed)
        let tickets = state.withLock { state in
            var tickets: [Ticket] = []
            while state.running < limits.running, let next = state.waiting.popFirst() {
                tickets.append(next)
                state.running += 1
            }
            return tickets
        }
        for ticket in tickets {
            scheduler.add(
                ScheduledJob(
                    ticket.request, loras: loras, options: RunOptions(),
                    isCancelled: { ticket.cancelled.load(ordering: .relaxed) },
                    onEvent: { ticket.feed.yield($0) },
                    onEnd: { error in
                        self.state.withLock { $0.running -= 1 }
                        ticket.feed.finish(throwing: error)
                        self.state.withLock { self.reportPlaces($0) }
                    }))
        }
    }

    // MARK: - Synchronous runs

    /// What parity checks add to a request.
    package struct RunOptions: Sendable {
        /// Initial noise instead of the seed's.
        package var noise: [Float]?
        /// Called with the tensors of each picture.
        package var onTrace: (@Sendable (Trace) -> Void)?
        /// Files beside those that the request names.
        package var loras: [LoRASource] = []
        /// Whether previews are made.
        package var previews = true

        package init() {}
    }

    /// Runs a request on the calling thread, while nothing else uses the pipeline.
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
        defer { pipeline.device.trim() }
        let scheduler = StepScheduler(
            pipeline: pipeline, passTokens: limits.passTokens, onPass: onPass)
        var failure: (any Error)?
        withoutActuallyEscaping(isCancelled) { isCancelled in
            withoutActuallyEscaping(onEvent) { onEvent in
                scheduler.add(
                    ScheduledJob(
                        request, loras: loras, options: options, isCancelled: isCancelled,
                        onEvent: onEvent, onEnd: { failure = $0 }))
                while scheduler.advance() {}
            }
        }
        if let failure { throw failure }
    }
}
