// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Fleet
    import Testing

    /// Which of three queues may fetch a job.
    struct FairSchedulerTests {
        private let start = ContinuousClock.now

        private func later(_ milliseconds: Int) -> ContinuousClock.Instant {
            start + .milliseconds(milliseconds)
        }

        @Test func aLowerOneWaitsUntilTheHigherOnesAreEmpty() {
            var scheduler = FairScheduler()
            #expect(scheduler.begin(.normal, isBusy: false, at: start) == nil)
            #expect(scheduler.begin(.high, isBusy: false, at: start) == 2)
            #expect(scheduler.begin(.normal, isBusy: false, at: later(1)) == nil)
            #expect(scheduler.begin(.normal, isBusy: true, at: later(20)) == 0.05)
            #expect(scheduler.begin(.low, isBusy: false, at: later(21)) == nil)
            #expect(scheduler.begin(.low, isBusy: false, at: later(40)) == 2)
            scheduler.end(.high)
            #expect(scheduler.begin(.normal, isBusy: false, at: later(60)) == nil)
        }

        @Test func aLowerOneIsNotPassedOverForEver() {
            var scheduler = FairScheduler()
            for _ in 0..<4 {
                #expect(scheduler.begin(.high, isBusy: false, at: start) == 2)
                scheduler.end(.high)
                scheduler.recordStart(.high, at: start)
            }
            #expect(scheduler.begin(.high, isBusy: false, at: start) == nil)
            let due: [Priority] = [.normal, .low].filter {
                scheduler.begin($0, isBusy: false, at: start) == 0.05
            }
            #expect(due.count == 1)
            scheduler.end(due[0])
            #expect(scheduler.begin(.high, isBusy: false, at: start) == 2)
        }

        @Test func aQueueThatWaitsForAnAnswerIsNotPassedOver() {
            var scheduler = FairScheduler()
            _ = scheduler.begin(.high, isBusy: false, at: start)
            _ = scheduler.begin(.normal, isBusy: false, at: later(20))
            _ = scheduler.begin(.low, isBusy: false, at: later(40))
            for _ in 0..<10 {
                scheduler.end(.high)
                scheduler.recordStart(.high, at: later(60))
                #expect(scheduler.begin(.high, isBusy: false, at: later(60)) == 2)
            }
        }
    }
#endif
