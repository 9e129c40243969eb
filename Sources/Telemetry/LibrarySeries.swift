// Part of Inkstone. Licence: see LICENSE.

import CoreMetrics
import Synchronization

/// The values of one label combination of a library's metric.
final class LibrarySeries: Sendable {
    private enum Value {
        case number(Double)
        case observations(Observations)
    }

    private let value: Mutex<Value>

    /// Creates a counter or gauge, or a histogram if there are buckets.
    init(buckets: [Double]) {
        value = Mutex(buckets.isEmpty ? .number(0) : .observations(Observations(bounds: buckets)))
    }

    /// Sets a counter or gauge.
    func set(_ number: Double) {
        guard number.isFinite else { return }
        value.withLock { $0 = .number(number) }
    }

    /// Adds to a counter or gauge.
    func add(_ amount: Double) {
        guard amount.isFinite else { return }
        value.withLock {
            guard case .number(let number) = $0 else { return }
            $0 = .number(number + amount)
        }
    }

    /// Counts an observation of a histogram.
    func observe(_ observed: Double) {
        value.withLock {
            guard case .observations(var observations) = $0 else { return }
            observations.count(observed)
            $0 = .observations(observations)
        }
    }

    /// Returns the samples with the given labels.
    func samples(labels: [MetricFamily.Label]) -> [MetricFamily.Sample] {
        switch value.withLock({ $0 }) {
        case .number(let number): [.init(labels, number)]
        case .observations(let observations): observations.samples(labels: labels)
        }
    }
}

/// A handler of swift-metrics that writes to a series.
protocol LibraryHandler: AnyObject, Sendable {
    var series: LibrarySeries { get }
}

/// A counter; negative amounts are discarded.
final class LibraryCounter: LibraryHandler, CounterHandler, FloatingPointCounterHandler {
    let series: LibrarySeries

    init(_ series: LibrarySeries) { self.series = series }

    func increment(by amount: Int64) { series.add(Double(max(0, amount))) }
    func increment(by amount: Double) { series.add(max(0, amount)) }
    func reset() { series.set(0) }
}

/// A value that goes up and down.
final class LibraryGauge: LibraryHandler, MeterHandler, RecorderHandler {
    let series: LibrarySeries

    init(_ series: LibrarySeries) { self.series = series }

    func set(_ value: Int64) { series.set(Double(value)) }
    func set(_ value: Double) { series.set(value) }
    func increment(by amount: Double) { series.add(amount) }
    func decrement(by amount: Double) { series.add(-amount) }
    func record(_ value: Int64) { series.set(Double(value)) }
    func record(_ value: Double) { series.set(value) }
}

/// Observations in buckets, each multiplied by a unit.
final class LibraryHistogram: LibraryHandler, RecorderHandler, TimerHandler {
    let series: LibrarySeries
    private let unit: Double

    init(_ series: LibrarySeries, unit: Double) {
        self.series = series
        self.unit = unit
    }

    func record(_ value: Int64) { series.observe(Double(value) * unit) }
    func record(_ value: Double) { series.observe(value * unit) }
    func recordNanoseconds(_ duration: Int64) { series.observe(Double(duration) * unit) }
}
