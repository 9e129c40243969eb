// Part of Inkstone. Licence: see LICENSE.

import LoadTesting
import Testing

/// Runs whose throughput and times are known from closed formulas.
@Suite struct SimulationTests {
    /// 400 runs, because of 100 one in eight sets would miss 93 by chance at a true 95 %.
    @Test(
        "X and R lie in their intervals in at least 93 of 100 runs",
        arguments: [(1, 2), (2, 2), (4, 2), (8, 2), (16, 4)])
    func coverage(users: Int, devices: Int) throws {
        var throughput = 0
        var endToEnd = 0
        let runs = 400
        for seed in 0..<runs {
            let simulation = Simulation(
                users: users, devices: devices, settle: 10, hold: 60, seed: 31 &+ UInt64(seed) &* 7,
                level: "closed")
            let figures = try #require(
                LevelFigures(records: simulation.records(), hold: simulation.held))
            if figures.throughput.covers(simulation.trueThroughput) ?? false { throughput += 1 }
            if figures.endToEnd.mean.covers(1000 * simulation.trueEndToEnd) ?? false {
                endToEnd += 1
            }
        }
        #expect(100 * throughput >= 93 * runs, "X: \(throughput) of \(runs)")
        #expect(100 * endToEnd >= 93 * runs, "R: \(endToEnd) of \(runs)")
    }

    @Test("the number in flight is that of the users, and Little's law holds exactly")
    func littlesLaw() throws {
        for users in [1, 4, 32] {
            let evidence = Simulation(users: users, hold: 120, level: "closed").evidence()
            let hold = try #require(evidence.hold)
            let figures = try #require(LevelFigures(records: evidence.records, hold: hold))
            #expect(figures.inFlight >= 0.98 * Double(users) && figures.inFlight <= Double(users))
            #expect(figures.inFlightMax == users)
            #expect(abs(try #require(figures.littleResidual)) < 0.02)
        }
    }

    @Test("a level without load has no figures, one request has no interval")
    func edges() throws {
        var evidence = Simulation(users: 1, hold: 30, level: "closed").evidence()
        let hold = try #require(evidence.hold)
        evidence.records = [evidence.records.first { $0.phase == .hold }].compactMap(\.self)
        let figures = try #require(LevelFigures(records: evidence.records, hold: hold))
        #expect(figures.endToEnd.mean.low == nil && figures.endToEnd.p50.value == nil)
        #expect(figures.endToEnd.max != nil)
        #expect(LevelFigures(records: [], hold: TimeRange(start: 5, end: 5)) == nil)
        let empty = try #require(LevelFigures(records: [], hold: hold))
        #expect(empty.throughput.value == 0)
        #expect(empty.errorRate.value == nil)
    }
}
