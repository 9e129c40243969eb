// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    package import Engine

    /// Decides which of a worker's queues may fetch a job: the highest priority first, with a starvation
    /// limit.
    package struct FairScheduler: Sendable {
        /// A scheduler that has fetched nothing.
        package init() {}

        /// Jobs that were fetched before one of this priority since its last fetch.
        private var passedOver: [Priority: Int] = [:]
        /// When the fetch began that a priority waits in.
        private var fetching: [Priority: ContinuousClock.Instant] = [:]
        /// A priority that was passed over so often that no other may fetch.
        private var due: Priority?
        private static let starvationLimit = 4
        /// A queue that has jobs answers faster than this.
        private static let answerTime = Duration.milliseconds(10)

        /// Begins a fetch, if the priority may.
        ///
        /// - Returns: Seconds to wait for a job, or `nil` where another priority is first.
        package mutating func begin(
            _ priority: Priority, isBusy: Bool, at now: ContinuousClock.Instant = .now
        ) -> Double? {
            let isFirst = Priority.allCases.allSatisfy { $0 <= priority || isEmpty($0, now) }
            guard due.map({ $0 == priority }) ?? isFirst else { return nil }
            fetching[priority] = now
            // Other priorities wait for the end of a fetch that is due.
            return due == priority || isBusy ? 0.05 : 2
        }

        /// When a priority that may not fetch now may do so if nothing changes; `nil` where only a change
        /// helps.
        package func nextChance(of priority: Priority) -> ContinuousClock.Instant? {
            guard due == nil else { return nil }
            let higher = Priority.allCases.filter { $0 > priority }
            let starts = higher.compactMap { fetching[$0] }
            guard starts.count == higher.count, let last = starts.max() else { return nil }
            return last + Self.answerTime + .milliseconds(1)
        }

        private func isEmpty(_ priority: Priority, _ now: ContinuousClock.Instant) -> Bool {
            fetching[priority].map { now - $0 > Self.answerTime } ?? false
        }

        /// Ends a fetch, with or without a job.
        package mutating func end(_ priority: Priority) {
            fetching[priority] = nil
            passedOver[priority] = 0
            if due == priority { due = nil }
        }

        /// Records that a job of this priority has begun.
        package mutating func recordStart(
            _ priority: Priority, at now: ContinuousClock.Instant = .now
        ) {
            // A priority that has been waiting for an answer has no jobs.
            for other in Priority.allCases where other < priority && !isEmpty(other, now) {
                passedOver[other, default: 0] += 1
                if passedOver[other, default: 0] >= Self.starvationLimit, due == nil { due = other }
            }
        }
    }
#endif
