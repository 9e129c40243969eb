// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Fleet
    import Testing

    /// Whose turn it is among three queues.
    struct TurnsTests {
        @Test func aLowerOneWaitsUntilTheHigherOnesAreEmpty() {
            var turns = Turns()
            #expect(turns.mayBegin(.high) && !turns.mayBegin(.normal) && !turns.mayBegin(.low))
            #expect(turns.noteEmpty(.high, isBusy: false) == 2)
            #expect(turns.mayBegin(.normal) && !turns.mayBegin(.low))
            #expect(turns.noteEmpty(.normal, isBusy: true) == 0.05)
            #expect(turns.mayBegin(.low))
            turns.end(.high, hasCome: true)
            #expect(!turns.mayBegin(.normal) && !turns.mayBegin(.low))
        }

        @Test func aLowerOneHasItsTurnInTheEnd() {
            var turns = Turns()
            for _ in 0..<4 {
                #expect(turns.mayBegin(.high))
                turns.end(.high, hasCome: true)
            }
            #expect(!turns.mayBegin(.high))
            let due: [Priority] = [.normal, .low].filter { turns.mayBegin($0) }
            #expect(due.count == 1)
            #expect(turns.noteEmpty(due[0], isBusy: false) == nil, "others wait for it")
            turns.end(due[0], hasCome: false)
            #expect(turns.mayBegin(.high))
        }

        @Test func whoIsWaitingIsNotOvertaken() {
            var turns = Turns()
            _ = turns.noteEmpty(.normal, isBusy: false)
            _ = turns.noteEmpty(.low, isBusy: false)
            for _ in 0..<10 {
                #expect(turns.mayBegin(.high))
                turns.end(.high, hasCome: true)
            }
        }
    }
#endif
