// Part of Inkstone. Licence: see LICENSE.

/// How long something took, several times.
package struct TimedRuns: Sendable, Equatable {
    /// What was done.
    package let name: String
    /// Operations of one run, two a multiply-add.
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

    /// Seconds of the run in the middle.
    package var median: Double {
        let middle = seconds.count / 2
        return seconds.count.isMultiple(of: 2)
            ? (seconds[middle - 1] + seconds[middle]) / 2 : seconds[middle]
    }

    /// Billions of operations a second in the run in the middle.
    package var rate: Double { Double(operations) / median / 1e9 }

    /// Several things done one after the other: the sums, and runs of as many as all have.
    package static func total(_ parts: [TimedRuns], name: String) -> TimedRuns {
        let runs = parts.map(\.seconds.count).min() ?? 0
        return TimedRuns(
            name: name, operations: parts.reduce(0) { $0 + $1.operations },
            seconds: (0..<max(1, runs)).map { run in
                parts.reduce(0) { $0 + ($1.seconds.indices.contains(run) ? $1.seconds[run] : 0) }
            })
    }
}
