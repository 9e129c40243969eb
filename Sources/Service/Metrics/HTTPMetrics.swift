// Part of Inkstone. Licence: see LICENSE.

import Synchronization
import Telemetry

/// Metrics of requests as clients see them.
package final class HTTPMetrics: Sendable {
    /// Routes for monitoring; they are not counted as in flight, so that reading the number does not
    /// change it.
    package static let watchers: Set<String> = [
        "/metrics", "/livez", "/readyz", "/health", "/version",
    ]

    private let requests: Counter
    private let duration: Histogram
    private let inFlight: Gauge
    /// Set when the last request in flight ends, where a task waits for that.
    private let idle = Mutex<(count: Int, promise: Promise<Void>?)>((0, nil))

    init(_ registry: MetricRegistry) {
        requests = registry.counter(
            "inkstone_requests_total", "Answered requests.",
            labels: ["route", "method", "status", "code"])
        duration = registry.histogram(
            "inkstone_request_duration_seconds",
            "From the first byte read to the last byte sent, or until the client left.",
            buckets: [
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600,
                1200,
            ], labels: ["route", "model", "status"])
        inFlight = registry.gauge(
            "inkstone_requests_in_flight",
            "Requests whose answer is not complete, other than those that watch the service.")
    }

    /// Requests in flight.
    package var requestsInFlight: Int { idle.withLock { $0.count } }

    /// Waits until no request is in flight, for a limited time.
    package func waitUntilIdle(atMost limit: Duration) async {
        let promise = idle.withLock { idle -> Promise<Void>? in
            guard idle.count > 0 else { return nil }
            let promise = idle.promise ?? Promise()
            idle.promise = promise
            return promise
        }
        _ = await promise?.wait(atMost: limit)
    }

    private func addInFlight(_ change: Int) {
        let promise = idle.withLock { idle -> Promise<Void>? in
            idle.count += change
            inFlight.set(Double(idle.count))
            guard idle.count == 0 else { return nil }
            defer { idle.promise = nil }
            return idle.promise
        }
        promise?.fulfil(())
    }

    /// A request to this path begins.
    package func begin(path: String) {
        if !Self.watchers.contains(path) { addInFlight(1) }
    }

    /// A request to this path has ended.
    package func end(
        path: String, route: String, method: String, status: Int, code: String, model: String,
        seconds: Double
    ) {
        // Methods come from clients; only those that are served become labels.
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(method)
        requests.add(1, route, known ? method : "other", "\(status)", code)
        duration.observe(seconds, route, model, "\(status)")
        // Last, so that an idle service has complete counts.
        if !Self.watchers.contains(path) { addInFlight(-1) }
    }
}
