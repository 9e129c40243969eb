// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

struct PlanTests {
    private func scenario() -> Scenario {
        var mix = RequestMix(
            prompt: "{a} and {b}",
            sizes: [
                Weighted(.init(width: 512, height: 512), weight: 7),
                Weighted(.init(width: 768, height: 512), weight: 3),
            ])
        mix.keywords = ["a": (0..<7).map { "a\($0)" }, "b": ["x", "y", "z"]]
        return Scenario(
            name: "plan", target: .init(url: "http://127.0.0.1:1"), request: mix,
            levels: [.closed(users: [1, 8])])
    }

    @Test func equalSeedsHaveEqualPlans() throws {
        var other = scenario()
        other.seed = 2
        let first = try RunPlan(scenario()).requests()
        #expect(try RunPlan(scenario()).requests() == first)
        #expect(try RunPlan(other).requests() != first)
    }

    @Test func noSeedIsUsedTwice() throws {
        let plan = try RunPlan(scenario())
        let seeds = plan.visits.flatMap { visit in
            (0..<20_000).map { plan.parameters(visit, $0).seed }
        }
        #expect(Set(seeds).count == seeds.count)
        #expect(seeds.allSatisfy { $0 <= 0x7FFF_FFFF })
        // They are spread over all 31 bits.
        #expect(seeds.count { $0 > 0x3FFF_FFFF } > seeds.count * 2 / 5)
    }

    @Test func wordsRepeatOnlyAfterAllWereUsed() throws {
        let template = try PromptTemplate(
            "{a} {{b}}", keywords: ["a": ["1", "2", "3", "4"]], seed: 5)
        let prompts = (0..<8).map { template.prompt($0, salt: 3) }
        #expect(Set(prompts.prefix(4)) == ["1 {b}", "2 {b}", "3 {b}", "4 {b}"])
        #expect(Set(prompts.suffix(4)).count == 4)
        #expect((0..<8).map { template.prompt($0, salt: 4) } != prompts)
    }

    @Test func sizesFollowTheirWeights() throws {
        let plan = try RunPlan(scenario())
        let wide = (0..<4000).count { plan.parameters(plan.visits[0], $0).width == 768 }
        // 1200 are expected, with a standard deviation of 29.
        #expect((1080...1320).contains(wide))
    }

    @Test(arguments: LoadModel.Arrivals.allCases)
    func theLastArrivalFollowsFromTheRate(_ arrivals: LoadModel.Arrivals) {
        let times = ArrivalTimes.draw(arrivals, rate: 50, shape: 2, count: 500, seed: 1)
        #expect(times == times.sorted())
        #expect(abs(Double(times[499]) - 10e9) < 10)
        let gaps = zip(times.dropFirst(), times).map { Double($0 - $1) / 1e9 }
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let deviation = (gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 499).squareRoot()
        // Standard deviation over mean: 0, 1 and 1 / sqrt(shape), within four standard errors.
        switch arrivals {
        case .constant: #expect(deviation / mean < 1e-6)
        case .poisson: #expect(abs(deviation / mean - 1) < 0.2)
        case .gamma: #expect(abs(deviation / mean - 0.707) < 0.15)
        }
    }

    @Test func updownVisitsEachLevelTwice() throws {
        var scenario = scenario()
        scenario.order = .updown
        let plan = try RunPlan(scenario)
        #expect(
            plan.visits.map { "\($0.visit.level) \($0.visit.visit)" } == [
                "closed-001 1", "closed-008 1", "closed-008 2", "closed-001 2",
            ])
        // A second visit requests other images.
        #expect(plan.parameters(plan.visits[0], 0) != plan.parameters(plan.visits[3], 0))
    }

    @Test func sweepsRequestTheSameImagesAtEachValue() {
        let plan = SweepPlan.steps(
            scenario(), steps: [1, 4], prompts: 16, reference: nil, referenceSteps: 8)
        #expect(plan.visits.map(\.visit.level) == ["reference", "steps-01", "steps-04"])
        for sequence in 0..<16 {
            var one = plan.parameters(plan.visits[1], sequence)
            #expect(one.steps == 1)
            one.steps = 8
            #expect(one == plan.parameters(plan.visits[0], sequence))
        }
    }

    @Test func settlingEndsWhenTimesNoLongerMove() {
        // Users that finish together, every 150 ms.
        #expect(SteadyProbe.isSteady([Double](repeating: 150, count: 20), inFlight: 2))
        #expect(!SteadyProbe.isSteady([Double](repeating: 150, count: 19), inFlight: 2))
        // A growing queue: each round is a tenth longer.
        let filling = (0..<10).flatMap { round in
            [Double](repeating: 100 + 10 * Double(round), count: 8)
        }
        #expect(!SteadyProbe.isSteady(filling, inFlight: 8))
        // Times with a variation of a fifth without a trend.
        var generator = SplitMix64(seed: 4)
        let scattered = (0..<80).map { _ in Double.random(in: 80...120, using: &generator) }
        #expect(SteadyProbe.isSteady(scattered, inFlight: 8))
    }
}
