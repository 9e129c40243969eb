// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Fleet
    import Testing

    /// Whose turn it is among three queues.
    struct TurnsTests {
        private let start = ContinuousClock.now

        private func later(_ milliseconds: Int) -> ContinuousClock.Instant {
            start + .milliseconds(milliseconds)
        }

        @Test func aLowerOneWaitsUntilTheHigherOnesAreEmpty() {
            var turns = Turns()
            #expect(turns.begin(.normal, isBusy: false, at: start) == nil)
            #expect(turns.begin(.high, isBusy: false, at: start) == 2)
            #expect(turns.begin(.normal, isBusy: false, at: later(1)) == nil)
            #expect(turns.begin(.normal, isBusy: true, at: later(20)) == 0.05)
            #expect(turns.begin(.low, isBusy: false, at: later(21)) == nil)
            #expect(turns.begin(.low, isBusy: false, at: later(40)) == 2)
            turns.end(.high)
            #expect(turns.begin(.normal, isBusy: false, at: later(60)) == nil)
        }

        @Test func aLowerOneHasItsTurnInTheEnd() {
            var turns = Turns()
            for _ in 0..<4 {
                #expect(turns.begin(.high, isBusy: false, at: start) == 2)
                turns.end(.high)
                turns.noteTaken(.high, at: start)
            }
            #expect(turns.begin(.high, isBusy: false, at: start) == nil)
            let due: [Priority] = [.normal, .low].filter {
                turns.begin($0, isBusy: false, at: start) == 0.05
            }
            #expect(due.count == 1)
            turns.end(due[0])
            #expect(turns.begin(.high, isBusy: false, at: start) == 2)
        }

        @Test func whoIsWaitingIsNotOvertaken() {
            var turns = Turns()
            _ = turns.begin(.high, isBusy: false, at: start)
            _ = turns.begin(.normal, isBusy: false, at: later(20))
            _ = turns.begin(.low, isBusy: false, at: later(40))
            for _ in 0..<10 {
                turns.end(.high)
                turns.noteTaken(.high, at: later(60))
                #expect(turns.begin(.high, isBusy: false, at: later(60)) == 2)
            }
        }
    }
#endif
