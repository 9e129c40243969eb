// Part of Inkstone. Licence: see LICENSE.

import Parameters
package import Tensors
package import ZImage

/// Decides, step by step, which images share the next pass through the transformer.
///
/// * The first step of a new request runs at once and alone, between two layers of the current pass.
/// * Afterwards all requests get the same number of tokens per second. A pass serves the least served
///   ones, as many as fit; images of any size, schedule and guidance share it, and join and leave
///   between passes.
/// * A finished image is decoded, or enlarged for its second pass, before the next pass.
///
/// Every image is bit-identical to one generated alone. Not thread-safe.
package final class StepScheduler<Device: Backend> {
    private typealias Lane = ScheduledJob<Device>.Lane

    private let pipeline: Pipeline<Device>
    private let passTokens: Int
    private let onPass: ((PassReport) -> Void)?
    /// Called before every unit of work and between layers, to add new requests.
    private let intake: (StepScheduler<Device>) -> Void
    /// All jobs, in the order of arrival.
    private var jobs: [ScheduledJob<Device>] = []
    /// Whether a new request is served while another pass waits between two layers.
    private var isInterrupting = false
    /// Seconds of new requests between the layers of the current pass or decoder.
    private var interruptedSeconds = 0.0

    package init(
        pipeline: Pipeline<Device>, passTokens: Int,
        onPass: ((PassReport) -> Void)? = nil,
        intake: @escaping (StepScheduler<Device>) -> Void = { _ in }
    ) {
        self.pipeline = pipeline
        self.passTokens = passTokens
        self.onPass = onPass
        self.intake = intake
    }

    package func add(_ job: ScheduledJob<Device>) {
        // The count of the least served: a new request neither catches up nor waits.
        job.service = jobs.lazy.filter(\.hasStarted).map(\.service).min() ?? 0
        jobs.append(job)
    }

    /// Does one unit of work: first steps, a decoding, or a pass.
    ///
    /// - Returns: whether there was any.
    package func advance() -> Bool {
        intake(self)
        dropCancelled()
        if serveNewcomers() { return true }
        if decodeOne() { return true }
        return servePass()
    }

    // MARK: - New requests

    /// Runs the first steps of new requests, in a separate pass.
    private func serveNewcomers() -> Bool {
        var chosen: [(job: ScheduledJob<Device>, lane: Lane)] = []
        var tokens = 0
        for job in jobs where !job.hasStarted {
            guard !job.isCancelled() else { continue }
            job.onEvent(.started)
            guard open(job), let lane = job.lanes.last else { continue }
            chosen.append((job, lane))
            tokens += lane.generation.tokens
            if tokens >= passTokens { break }
        }
        if chosen.isEmpty { return false }
        run(chosen)
        return true
    }

    /// Called between the layers of a pass or decoder.
    private func interrupt() {
        // Also while a new request is served: the engine counts its heartbeat here.
        intake(self)
        guard !isInterrupting, pipeline.device.failure == nil else { return }
        guard jobs.contains(where: { !$0.hasStarted && !$0.isCancelled() }) else { return }
        isInterrupting = true
        let (start, outer) = (ContinuousClock.now, interruptedSeconds)
        pipeline.device.nested { _ = serveNewcomers() }
        interruptedSeconds = outer + (ContinuousClock.now - start).inSeconds
        isInterrupting = false
    }

    // MARK: - Passes

    /// The lanes of the next pass.
    private func choose() -> [(job: ScheduledJob<Device>, lane: Lane)] {
        var chosen: [(job: ScheduledJob<Device>, lane: Lane)] = []
        var tokens = 0
        var service = Dictionary(
            uniqueKeysWithValues: jobs.map { (ObjectIdentifier($0), $0.service) })
        var taken: [ObjectIdentifier: Int] = [:]
        var candidates = jobs.filter { $0.hasStarted }
        while let job = candidates.min(by: {
            service[ObjectIdentifier($0), default: 0] < service[ObjectIdentifier($1), default: 0]
        }) {
            let id = ObjectIdentifier(job)
            let open = job.lanes.filter { !$0.generation.isFinished }
            let next = taken[id, default: 0]
            let cost = (open.first ?? job.lanes.first)?.generation.tokens ?? 0
            guard chosen.isEmpty || tokens + cost <= passTokens,
                next < open.count || (job.nextImage < job.request.count && self.open(job))
            else {
                candidates.removeAll { $0 === job }
                continue
            }
            let lane = next < open.count ? open[next] : job.lanes[job.lanes.count - 1]
            chosen.append((job, lane))
            taken[id] = next + 1
            tokens += lane.generation.tokens
            service[id, default: 0] += lane.generation.tokens
        }
        return chosen
    }

    private func servePass() -> Bool {
        let chosen = choose()
        if chosen.isEmpty { return !jobs.isEmpty }
        run(chosen)
        return true
    }

    /// Advances the selected lanes by a step.
    ///
    /// If one of them fails, its job ends and the others continue; if the device fails, all end, or without memory
    /// the largest.
    private func run(_ chosen: [(job: ScheduledJob<Device>, lane: Lane)]) {
        var generations = chosen.map(\.lane.generation)
        let tokens = generations.reduce(0) { $0 + $1.tokens }
        let start = ContinuousClock.now
        if !isInterrupting { interruptedSeconds = 0 }
        do {
            try pipeline.step(&generations, pause: interrupt)
        } catch let error as NumericError {
            let culprit = chosen[error.sequence].job
            end(culprit, error)
            let others = chosen.filter { $0.job !== culprit }
            return others.isEmpty ? () : run(others)
        } catch let error as any DeviceError where error.isOutOfMemory {
            // A job that the others may fit without, on a device that is opened again.
            if let job = largest(of: chosen) { end(job, error) }
            return
        } catch {
            // The device has failed: the results of all are invalid. A job may have several lanes.
            for (job, _) in chosen where jobs.contains(where: { $0 === job }) { end(job, error) }
            return
        }
        let elapsed = (ContinuousClock.now - start).inSeconds
        let seconds = isInterrupting ? elapsed : elapsed - interruptedSeconds
        for ((job, lane), generation) in zip(chosen, generations) {
            let own = lane.generation.tokens
            let before = lane.generation.step
            lane.generation = generation
            lane.stepSeconds.append(seconds * Double(own) / Double(tokens))
            job.service += own
            job.reportSteps(of: lane, after: before, on: pipeline, seconds: elapsed)
        }
        onPass?(PassReport(images: chosen.count, tokens: tokens, seconds: seconds))
    }

    /// The job with the most tokens in a pass, which needs the most memory; the last one of several.
    private func largest(
        of chosen: [(job: ScheduledJob<Device>, lane: Lane)]
    ) -> ScheduledJob<Device>? {
        var tokens: [ObjectIdentifier: Int] = [:]
        for (job, lane) in chosen {
            tokens[ObjectIdentifier(job), default: 0] += lane.generation.tokens
        }
        return chosen.max {
            tokens[ObjectIdentifier($0.job), default: 0]
                <= tokens[ObjectIdentifier($1.job), default: 0]
        }?.job
    }

    // MARK: - Decoding

    private func decodeOne() -> Bool {
        for job in jobs {
            guard let lane = job.lanes.first(where: { $0.generation.isFinished }) else { continue }
            let start = ContinuousClock.now
            interruptedSeconds = 0
            do {
                if lane.generation.secondPass != nil {
                    try pipeline.enlarge(&lane.generation, pause: interrupt)
                    lane.enlargingSeconds =
                        (ContinuousClock.now - start).inSeconds - interruptedSeconds
                    return true
                }
                let image = try pipeline.finish(&lane.generation, pause: interrupt)
                let seconds = (ContinuousClock.now - start).inSeconds - interruptedSeconds
                if job.isCancelled() { throw CancellationError() }
                job.deliver(image, of: lane, from: pipeline, decodeSeconds: seconds)
                if job.isDelivered { end(job, nil) }
            } catch {
                end(job, error)
            }
            return true
        }
        return false
    }

    // MARK: - Beginning and end

    /// Opens a job's next lane, or ends the job.
    private func open(_ job: ScheduledJob<Device>) -> Bool {
        do {
            try job.openLane(on: pipeline)
            return true
        } catch {
            end(job, error)
            return false
        }
    }

    private func dropCancelled() {
        for job in jobs where job.isCancelled() { end(job, CancellationError()) }
    }

    private func end(_ job: ScheduledJob<Device>, _ error: (any Error)?) {
        jobs.removeAll { $0 === job }
        job.onEnd(error.map(GenerationError.wrapping))
    }
}

extension GenerationError {
    /// The error for clients of an error of the pipeline; a cancellation is preserved.
    static func wrapping(_ error: any Error) -> any Error {
        switch error {
        case is CancellationError, is GenerationError: error
        case let error as NumericError: GenerationError(.numeric, error.description)
        case let error as MemoryError: GenerationError(.busy, error.description)
        case let error as any DeviceError where error.isOutOfMemory:
            GenerationError(.busy, error.description)
        case let error as LoRAError: GenerationError(.lora, error.description)
        case let error as ControlError: GenerationError(.control, error.description)
        case let error as RequestError:
            GenerationError(error.field == "controls" ? .control : .lora, error.description)
        default: GenerationError(.internalFailure, "\(error)")
        }
    }
}
