// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// The metrics of a process.
///
/// swift-metrics is an interface without an exporter and has no buckets; ``LibraryMetrics`` adds what
/// libraries record through it.
package final class MetricRegistry: Sendable {
    private struct State {
        var sources: [@Sendable () -> [MetricFamily]] = []
        var names: Set<String> = []
    }

    private let state = Mutex(State())

    /// No metrics yet.
    package init() {}

    /// A number that only grows; its name ends in `_total`.
    package func counter(_ name: String, _ help: String, labels: [String] = []) -> Counter {
        let counter = Counter(name, help, labels: labels)
        add(name) { counter.family }
        return counter
    }

    /// A number that goes up and down.
    package func gauge(_ name: String, _ help: String, labels: [String] = []) -> Gauge {
        let gauge = Gauge(name, help, labels: labels)
        add(name) { gauge.family }
        return gauge
    }

    /// Observations counted by size.
    package func histogram(
        _ name: String, _ help: String, buckets: [Double], labels: [String] = []
    ) -> Histogram {
        let histogram = Histogram(name, help, buckets: buckets, labels: labels)
        add(name) { histogram.family }
        return histogram
    }

    /// Metrics that are read on demand.
    package func collect(_ source: @escaping @Sendable () -> [MetricFamily]) {
        state.withLock { $0.sources.append(source) }
    }

    /// Reserves a name for metrics that `collect` adds; returns false if it is taken.
    func reserve(_ name: String) -> Bool {
        state.withLock { $0.names.insert(name).inserted }
    }

    private func add(_ name: String, _ source: @escaping @Sendable () -> MetricFamily) {
        state.withLock { state in
            let isNew = state.names.insert(name).inserted
            precondition(isNew, "there is a metric '\(name)' already")
            state.sources.append { [source()] }
        }
    }

    /// Everything as it is now.
    package var families: [MetricFamily] {
        // Sources may take locks of their own.
        state.withLock { $0.sources }.flatMap { $0() }
    }
}
