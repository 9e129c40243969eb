// Part of Inkstone. Licence: see LICENSE.

public import Catalog
import Dispatch
import ModelFiles
import Synchronization
public import Tensors
public import ZImage

/// An engine on this machine's processor.
public typealias CPUEngine = InferenceEngine<CPUBackend>

/// Runs requests on one pipeline and reports their events.
///
/// Requests share the device step by step (see `StepScheduler`); every image is bit-identical to one
/// generated alone.
public final class InferenceEngine<Device: Backend>: LocalEngine, Sendable {
    /// The pipeline.
    public let pipeline: Pipeline<Device>
    /// The model's description for clients.
    public let description: ModelDescription
    /// Limits of running and waiting requests.
    public let limits: SchedulerLimits
    /// LoRA files that requests may use.
    public let loras: LoRARegistry
    /// ControlNets that requests may use.
    public let controlNets: ControlNetRegistry
    private let onPass: (@Sendable (PassReport) -> Void)?
    private let onFailure: (@Sendable (any DeviceError) -> Void)?
    /// Serializes all work: a pipeline accepts one call at a time.
    private let queue = DispatchQueue(label: "inkstone.engine", qos: .userInitiated)
    private let state = Mutex(State())
    private let heartbeats = Atomic(0)

    private struct State {
        /// Requests that wait.
        var waiting = PriorityQueue<Ticket>()
        /// Requests that share the device.
        var running = 0
        /// Whether the work queue is busy.
        var isAwake = false

        /// Number of requests that must end or begin before the waiting one at `index` begins.
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

    /// Creates an engine with a loaded pipeline.
    ///
    /// - Parameters:
    ///   - pipeline: a loaded model.
    ///   - limits: limits of running and waiting requests.
    ///   - loras: LoRA files that requests may use; those of the model's folder by default.
    ///   - controlNets: ControlNets that requests may use; those of the model's folder by default.
    ///   - onPass: called after every pass, on the work queue.
    ///   - onFailure: called when the device computes no more, after the requests that need to know why have
    ///     ended; those of a lost device have not. A process that ends here has the others run again by another one.
    public init(
        pipeline: Pipeline<Device>, limits: SchedulerLimits = SchedulerLimits(),
        loras: LoRARegistry? = nil, controlNets: ControlNetRegistry? = nil,
        onPass: (@Sendable (PassReport) -> Void)? = nil,
        onFailure: (@Sendable (any DeviceError) -> Void)? = nil
    ) {
        self.pipeline = pipeline
        self.loras = loras ?? LoRARegistry(models: [pipeline.model.url])
        self.controlNets = controlNets ?? ControlNetRegistry(models: [pipeline.model.url])
        self.limits = limits
        self.onPass = onPass
        self.onFailure = onFailure
        description = ModelDescription(pipeline: pipeline)
    }

    /// The loaded model.
    public var models: [ModelDescription] {
        get async { [description] }
    }

    package var precision: Precision { pipeline.device.precision }
    package var deviceName: String { pipeline.device.deviceName }
    package var deviceMemory: DeviceMemoryUse? {
        pipeline.device.memoryUse.map { .init(totalBytes: $0.total, availableBytes: $0.available) }
    }
    package var threads: Int { pipeline.device.threads }
    package var loraReports: [LoRAReport] { pipeline.loraReports }

    package func reports(of loras: [LoRASource]) throws -> [LoRAReport] {
        try pipeline.reports(of: loras)
    }

    /// Statistics of the prompt cache, or `nil` if it is disabled.
    public var promptCacheInfo: PromptCacheInfo? { pipeline.promptCache?.info }

    /// Names of the LoRA files in memory.
    public var loadedLoRAs: [String] { pipeline.loadedLoRAs }

    /// Requests that share the device, and requests that wait.
    public var load: (running: Int, waiting: Int) {
        state.withLock { ($0.running, $0.waiting.count) }
    }

    /// Incremented by every unit of work and every layer; an engine with requests and a constant
    /// heartbeat hangs.
    public var heartbeat: Int { heartbeats.load(ordering: .relaxed) }

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
            // While locked, so that no other event overtakes it.
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

    /// Marks a request as cancelled; a waiting one is removed from the queue at once.
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

    /// Runs the scheduled requests until none is left.
    private func work() {
        let scheduler = StepScheduler(
            pipeline: pipeline, passTokens: limits.passTokens, onPass: onPass
        ) { self.admit(to: $0) }
        repeat {
            while scheduler.advance() {
                // Without a listener all requests end with the reason.
                if let failure = pipeline.device.failure, let onFailure {
                    return onFailure(failure)
                }
            }
            pipeline.device.trim()
        } while state.withLock { state in
            state.isAwake = !state.waiting.isEmpty
            return state.isAwake
        }
    }

    /// Moves waiting requests to the scheduler, as many as may share the device.
    private func admit(to scheduler: StepScheduler<Device>) {
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
                    ticket.request, loras: loras, controlNets: controlNets, options: RunOptions(),
                    isCancelled: { ticket.cancelled.load(ordering: .relaxed) },
                    onEvent: { ticket.feed.yield($0) },
                    onEnd: { error in
                        if let failure = self.pipeline.device.failure, failure.isLost {
                            self.onFailure?(failure)
                        }
                        self.state.withLock { $0.running -= 1 }
                        ticket.feed.finish(throwing: error)
                        self.state.withLock { self.reportPlaces($0) }
                    }))
        }
    }

    // MARK: - Synchronous runs

    /// See `LocalEngine`.
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
                        request, loras: loras, controlNets: controlNets, options: options,
                        isCancelled: isCancelled, onEvent: onEvent, onEnd: { failure = $0 }))
                while scheduler.advance() {}
            }
        }
        if let failure { throw failure }
    }
}
