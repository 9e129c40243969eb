// Part of Inkstone. Licence: see LICENSE.

package import CoreMetrics
import Synchronization

/// Adds the metrics that libraries record through swift-metrics to a registry.
///
/// Names follow the rules of Prometheus: every other character becomes `_`, counters end in `_total`,
/// timers in `_seconds`. Dimensions become labels. A name that the registry has, or that begins like
/// the process's own metrics, gets the prefix `library_`.
///
/// | swift-metrics | exported as |
/// |---|---|
/// | `Counter`, `FloatingPointCounter` | counter |
/// | `Meter`, `Gauge` (a `Recorder` that does not aggregate) | gauge |
/// | `Recorder` | histogram |
/// | `Timer` | histogram of seconds |
package final class LibraryMetrics: MetricsFactory {
    /// Label combinations per metric; further ones are discarded, so that a library whose labels come
    /// from clients cannot exhaust memory.
    package static let maximumSeries = 1000

    private static let reservedPrefixes = ["inkstone_", "process_"]
    private static let secondsBuckets = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
    ]
    private static let valueBuckets = [
        0.001, 0.01, 0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
    ]

    private struct Family {
        let label: String
        let kind: MetricFamily.Kind
        var series: [[MetricFamily.Label]: LibrarySeries] = [:]
    }

    private let registry: MetricRegistry
    private let families = Mutex<[String: Family]>([:])

    /// Creates a factory whose metrics are exported with those of `registry`.
    package init(_ registry: MetricRegistry) {
        self.registry = registry
        registry.collect { [weak self] in self?.exported ?? [] }
    }

    private static let isInstalled = Atomic(false)

    /// Makes this factory the one of the process; only the first call in a process has an effect.
    package func install() {
        guard !Self.isInstalled.exchange(true, ordering: .relaxed) else { return }
        MetricsSystem.bootstrap(self)
    }

    // MARK: - MetricsFactory

    /// See `MetricsFactory`.
    package func makeCounter(
        label: String, dimensions: [(String, String)]
    ) -> any CounterHandler {
        LibraryCounter(series(label, dimensions, .counter, ending: "_total"))
    }

    /// See `MetricsFactory`.
    package func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        LibraryCounter(series(label, dimensions, .counter, ending: "_total"))
    }

    /// See `MetricsFactory`.
    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        LibraryGauge(series(label, dimensions, .gauge))
    }

    /// See `MetricsFactory`.
    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        aggregate
            ? LibraryHistogram(
                series(label, dimensions, .histogram, buckets: Self.valueBuckets), unit: 1)
            : LibraryGauge(series(label, dimensions, .gauge))
    }

    /// See `MetricsFactory`.
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        LibraryHistogram(
            series(
                label, dimensions, .histogram, ending: "_seconds", buckets: Self.secondsBuckets),
            unit: 1e-9)
    }

    /// See `MetricsFactory`.
    package func destroyCounter(_ handler: any CounterHandler) { destroy(handler) }
    /// See `MetricsFactory`.
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
        destroy(handler)
    }
    /// See `MetricsFactory`.
    package func destroyMeter(_ handler: any MeterHandler) { destroy(handler) }
    /// See `MetricsFactory`.
    package func destroyRecorder(_ handler: any RecorderHandler) { destroy(handler) }
    /// See `MetricsFactory`.
    package func destroyTimer(_ handler: any TimerHandler) { destroy(handler) }

    // MARK: - Series

    private func series(
        _ label: String, _ dimensions: [(String, String)], _ kind: MetricFamily.Kind,
        ending: String = "", buckets: [Double] = []
    ) -> LibrarySeries {
        var name = Self.mapped(label, isLabel: false)
        if !name.hasSuffix(ending) { name += ending }
        if Self.reservedPrefixes.contains(where: name.hasPrefix) { name = "library_" + name }
        let labels = Self.labels(dimensions)
        return families.withLock { families in
            // The same name may be taken by the registry, or by another label or kind of a library.
            while families[name].map({ $0.label != label || $0.kind != kind })
                ?? !registry.reserve(name)
            {
                name = "library_" + name
            }
            var family = families[name] ?? Family(label: label, kind: kind)
            let known = family.series[labels]
            let series = known ?? LibrarySeries(buckets: buckets)
            if known == nil, family.series.count < Self.maximumSeries {
                family.series[labels] = series
            }
            families[name] = family
            return series
        }
    }

    private func destroy(_ handler: any AnyObject & Sendable) {
        guard let series = (handler as? any LibraryHandler)?.series else { return }
        families.withLock { families in
            families = families.mapValues { family in
                var family = family
                family.series = family.series.filter { $0.value !== series }
                return family
            }
        }
    }

    private var exported: [MetricFamily] {
        families.withLock { $0 }.sorted { $0.key < $1.key }.compactMap { name, family in
            guard !family.series.isEmpty else { return nil }
            let series = family.series.sorted {
                $0.key.map(\.value).lexicographicallyPrecedes($1.key.map(\.value))
            }
            return MetricFamily(
                name, "\(family.label), recorded by a library.", kind: family.kind,
                samples: series.flatMap { $0.value.samples(labels: $0.key) })
        }
    }

    /// Labels by name; the last one of equal names counts.
    private static func labels(_ dimensions: [(String, String)]) -> [MetricFamily.Label] {
        var values: [String: String] = [:]
        for (name, value) in dimensions { values[mapped(name, isLabel: true)] = value }
        return values.sorted { $0.key < $1.key }.map { MetricFamily.Label($0.key, $0.value) }
    }

    /// Replaces characters that names of metrics, or of labels, must not have.
    private static func mapped(_ text: String, isLabel: Bool) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            let isDigit = ("0"..."9").contains(scalar)
            let isLetter = ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
            if isDigit, name.isEmpty { name = "_" }
            name.unicodeScalars.append(
                isDigit || isLetter || (scalar == ":" && !isLabel) ? scalar : "_")
        }
        // `le` is the bound of a bucket; names with two underscores are for Prometheus itself.
        if isLabel, name == "le" || name.hasPrefix("__") { name = "label_" + name }
        return name.isEmpty ? "_" : name
    }
}
