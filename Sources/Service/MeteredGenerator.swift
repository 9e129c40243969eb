// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Synchronization
import Telemetry

/// A generator whose every event is counted on its way up.
///
/// It knows nothing but `JobEvent`s, so that it serves an engine, a worker process or a queue of
/// jobs alike.
package final class MeteredGenerator: ImageGenerating, Sendable {
    let base: any ImageGenerating
    /// What finished pictures took.
    package let times = PictureTimes()
    private let metrics: EngineMetrics
    private let estimate = Mutex(QueueEstimate())
    private let counter = Atomic(0)

    /// Counts what `base` does.
    package init(_ base: any ImageGenerating, metrics: EngineMetrics) {
        self.base = base
        self.metrics = metrics
    }

    /// The models of the generator behind.
    package var models: [ModelDescription] {
        get async { await base.models }
    }

    /// Requests that wait.
    package var queueDepth: Int {
        Int(Priority.allCases.reduce(0) { $0 + metrics.queued.value($1.rawValue) })
    }

    /// Requests that are in work.
    package var running: Int { Int(metrics.running.value()) }

    /// The value of `Retry-After` for a full queue: an estimate of when a place becomes free.
    package var retryAfter: Int { RetryAfter.seconds(estimate.withLock { $0.seconds }) }

    /// Runs a request as `ImageGenerating` says.
    package func events(
        for request: ImageRequest, model: String
    ) -> AsyncThrowingStream<JobEvent, any Error> {
        events(for: request, model: model, report: nil)
    }

    /// Runs a request and notes its moments.
    package func events(
        for request: ImageRequest, model: String, report: JobReport?
    ) -> AsyncThrowingStream<JobEvent, any Error> {
        count(
            base.events(for: request, model: model), of: request, model: model, report: report)
    }

    /// Counts what happens to a request that somebody else runs.
    package func count(
        _ events: AsyncThrowingStream<JobEvent, any Error>, of request: ImageRequest,
        model: String, report: JobReport? = nil
    ) -> AsyncThrowingStream<JobEvent, any Error> {
        let id = counter.add(1, ordering: .relaxed).newValue
        let meter = JobMeter(
            metrics: metrics, model: model, request: request, report: report
        ) { change in
            self.estimate.withLock { change(&$0, id) }
        }
        return AsyncThrowingStream { continuation in
            // Events are taken at once: what they tell is when they happened, not when a client
            // was ready to read.
            let task = Task { [times] in
                do {
                    for try await event in events {
                        meter.note(event)
                        if case .image(let image) = event {
                            times.note(image.seconds, request, model: model)
                        }
                        continuation.yield(event)
                    }
                    // An iteration that is cancelled ends without an error.
                    try Task.checkCancellation()
                    meter.end(.ok)
                    continuation.finish()
                } catch {
                    meter.end(.init(error))
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { reason in
                guard case .cancelled = reason else { return }
                meter.end(.cancelled)
                task.cancel()
            }
        }
    }
}
