// Part of Inkstone. Licence: see LICENSE.

/// The number of open requests as an exact step function of time.
package struct OpenRequests: Sendable {
    /// The moments at which the number changes, and the number from there on.
    ///
    /// Intervals are half-open: an end precedes a start at the same moment.
    package let steps: [(time: Int64, count: Int)]

    /// Computes the steps of intervals; one without an end is open until `horizon`.
    package init(_ intervals: [(start: Int64, end: Int64?)], horizon: Int64) {
        var changes: [(time: Int64, change: Int)] = []
        changes.reserveCapacity(2 * intervals.count)
        for interval in intervals {
            let end = interval.end ?? horizon
            guard end > interval.start else { continue }
            changes.append((interval.start, 1))
            changes.append((end, -1))
        }
        changes.sort { ($0.time, $0.change) < ($1.time, $1.change) }
        var steps: [(time: Int64, count: Int)] = []
        var count = 0
        for change in changes {
            count += change.change
            if steps.last?.time == change.time {
                steps[steps.count - 1].count = count
            } else {
                steps.append((change.time, count))
            }
        }
        self.steps = steps
    }

    /// The time integral over a range, in request-seconds.
    package func integral(_ range: TimeRange) -> Double {
        var total = 0.0
        for (index, step) in steps.enumerated() where step.count > 0 {
            let end = index + 1 < steps.count ? steps[index + 1].time : step.time
            let from = max(step.time, range.start)
            let to = min(end, range.end)
            if to > from { total += Double(to - from) / 1e9 * Double(step.count) }
        }
        return total
    }

    /// The time average over a range.
    package func mean(_ range: TimeRange) -> Double {
        range.seconds > 0 ? integral(range) / range.seconds : 0
    }

    /// The maximum within a range.
    package func maximum(_ range: TimeRange) -> Int {
        var most = 0
        for (index, step) in steps.enumerated() {
            let end = index + 1 < steps.count ? steps[index + 1].time : step.time
            if step.time < range.end, end > range.start { most = max(most, step.count) }
        }
        return most
    }
}
