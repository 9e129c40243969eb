// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Synchronization
import Telemetry

/// Counts requests to an engine by their events, and estimates when a place in the queue is free.
///
/// It observes streams of events only, so that it serves an engine, worker processes and a fleet
/// alike.
package final class EngineMeter: Sendable {
    /// How long finished images took.
    package let times = ImageTimes()
    private let metrics: EngineMetrics
    private let estimate = Mutex(QueueEstimate())
    private let counter = Atomic(0)

    /// A meter that counts into `metrics`.
    package init(_ metrics: EngineMetrics) {
        self.metrics = metrics
    }

    /// Requests that wait.
    package var queueDepth: Int {
        Int(Priority.allCases.reduce(0) { $0 + metrics.queued.value($1.rawValue) })
    }

    /// Requests that are in work.
    package var running: Int { Int(metrics.running.value()) }

    /// The value of `Retry-After` for a full queue: an estimate of when a place becomes free.
    package var retryAfter: Int {
        let expected = metrics.expectations
        return RetryAfter.seconds(estimate.withLock { $0.seconds(expected: expected) })
    }

    /// Sets the seconds that an evaluation of a model takes for each pixel of an image, for estimates before
    /// its first image.
    package func expect(secondsPerPixel seconds: Double, of model: String) {
        metrics.expect(secondsPerPixel: seconds, of: model)
    }

    /// Begins to count a request whose events are recorded by the caller.
    package func begin(
        _ request: ImageRequest, model: String, report: JobReport? = nil
    ) -> JobMeter {
        let id = counter.add(1, ordering: .relaxed).newValue
        return JobMeter(
            metrics: metrics, times: times, model: model, request: request, report: report
        ) { change in
            self.estimate.withLock { change(&$0, id) }
        }
    }

    /// Counts a request by the events of its stream.
    ///
    /// - Parameters:
    ///   - events: The stream, of which nothing has been read.
    ///   - request: The request that it belongs to.
    ///   - model: The model that generates.
    ///   - report: Records the moments of the request.
    /// - Returns: The same stream.
    package func count(
        _ events: JobEventStream, of request: ImageRequest, model: String,
        report: JobReport? = nil
    ) -> JobEventStream {
        let meter = begin(request, model: model, report: report)
        return events.observe(onEvent: { meter.record($0) }, onEnd: { meter.end($0) })
    }
}
