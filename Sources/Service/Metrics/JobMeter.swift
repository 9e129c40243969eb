// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Parameters
import Synchronization
import Telemetry

/// Counts the events of one request, each fact once, however the request ends.
package final class JobMeter: Sendable {
    /// Changes the estimate of the queue's pace for this request.
    typealias Estimating = @Sendable (_ change: (inout QueueEstimate, _ id: Int) -> Void) -> Void

    private enum Phase { case submitted, queued, running, ended }

    private struct State {
        var phase = Phase.submitted
        var hasPreview = false
    }

    private let metrics: EngineMetrics
    private let times: ImageTimes
    private let model: String
    private let request: ImageRequest
    private let unitsPerStep: Double
    private let units: Double
    private let priority: String
    private let report: JobReport?
    private let estimate: Estimating
    private let submitted = ContinuousClock.now
    private let state = Mutex(State())

    init(
        metrics: EngineMetrics, times: ImageTimes, model: String, request: ImageRequest,
        report: JobReport?, estimate: @escaping Estimating
    ) {
        self.metrics = metrics
        self.times = times
        self.model = model
        self.request = request
        priority = request.priority.rawValue
        self.report = report
        self.estimate = estimate
        unitsPerStep = QueueEstimate.unitsPerStep(request)
        units = unitsPerStep * Double(request.evaluations * request.count)
        report?.submit(submitted)
    }

    /// Counts an event.
    package func record(_ event: JobEvent) {
        let now = ContinuousClock.now
        state.withLock { state in
            guard state.phase != .ended else { return }
            switch event {
            case .queued:
                guard state.phase == .submitted else { return }
                state.phase = .queued
                metrics.queued.add(1, priority)
            case .started:
                guard state.phase != .running else { return }
                leaveQueue(state.phase, now)
                state.phase = .running
                metrics.running.add(1)
                report?.start(now)
                estimate { $0.begin($1, units: units, of: model) }
            case .step:
                estimate { $0.progress($1, units: unitsPerStep) }
            case .preview:
                guard !state.hasPreview else { return }
                state.hasPreview = true
                metrics.firstPreview.observe(seconds(to: now), model)
            case .image(let image):
                metrics.record(image, of: request, model: model)
                times.record(image.seconds, request, model: model)
                let units = unitsPerStep * Double(image.seconds.steps.count)
                estimate { estimate, _ in
                    estimate.learn(units: units, seconds: image.seconds.total, of: model)
                }
            }
        }
    }

    /// Counts the end; what follows is not counted.
    package func end(_ end: JobEventStream.End) {
        let outcome = EngineMetrics.Outcome(end)
        let now = ContinuousClock.now
        state.withLock { state in
            guard state.phase != .ended else { return }
            switch state.phase {
            case .queued: leaveQueue(.queued, now)
            case .running: metrics.running.add(-1)
            case .submitted, .ended: break
            }
            if outcome == .cancelled {
                metrics.cancelled.add(1, state.phase == .running ? "running" : "queued")
            }
            metrics.generations.add(1, model, outcome.rawValue)
            metrics.duration.observe(seconds(to: now), model)
            report?.end(now)
            estimate { $0.end($1) }
            state.phase = .ended
        }
    }

    private func leaveQueue(_ phase: Phase, _ now: ContinuousClock.Instant) {
        if phase == .queued { metrics.queued.add(-1, priority) }
        metrics.queueTime.observe(seconds(to: now), model)
    }

    private func seconds(to now: ContinuousClock.Instant) -> Double {
        (now - submitted) / .seconds(1)
    }
}
