// Part of Inkstone. Licence: see LICENSE.

/// Durations of several runs of a benchmark.
package struct TimedRuns: Sendable, Equatable {
    /// Name of the benchmark.
    package let name: String
    /// Operations of one run; a multiply-add counts as two.
    package let operations: Int
    /// Seconds of each run, shortest first; never empty.
    package let seconds: [Double]

    /// Runs of the given durations, in any order.
    package init(name: String, operations: Int, seconds: [Double]) {
        precondition(!seconds.isEmpty, "a measurement without runs")
        self.name = name
        self.operations = operations
        self.seconds = seconds.sorted()
    }

    /// Median, in seconds.
    package var median: Double {
        let middle = seconds.count / 2
        return seconds.count.isMultiple(of: 2)
            ? (seconds[middle - 1] + seconds[middle]) / 2 : seconds[middle]
    }

    /// Billions of operations per second in the median run.
    package var rate: Double { Double(operations) / median / 1e9 }

    /// Whether the rate is above a peak of `peak` billions a second by more than the spread of measurements:
    /// then the measurement is wrong.
    package func isAbove(peak: Double) -> Bool { rate > 1.1 * peak }

    /// Sums consecutive benchmarks, for the smallest number of runs.
    package static func total(_ parts: [TimedRuns], name: String) -> TimedRuns {
        let runs = parts.map(\.seconds.count).min() ?? 0
        return TimedRuns(
            name: name, operations: parts.reduce(0) { $0 + $1.operations },
            seconds: (0..<max(1, runs)).map { run in
                parts.reduce(0) { $0 + ($1.seconds.indices.contains(run) ? $1.seconds[run] : 0) }
            })
    }
}
