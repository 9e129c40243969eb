// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Rates that change, and the search for the highest rate.
@Suite(.serialized) struct ShapeTests {
    /// Arrivals a second between two moments of the hold.
    private func rate(_ times: [Int64], _ from: Double, _ to: Double, lead: Double) -> Double {
        let inside = times.filter {
            Double($0) / 1e9 >= lead + from && Double($0) / 1e9 < lead + to
        }
        return Double(inside.count) / (to - from)
    }

    @Test("a ramp, steps and a spike have the rates of their points")
    func profiles() {
        let draw = { (shape: LoadShape, arrivals: LoadModel.Arrivals) in
            ArrivalTimes.draw(arrivals, profile: shape.points, lead: 5, shape: 1, seed: 3)
        }
        let ramp = draw(.ramp(from: 10, to: 110, seconds: 100), .constant)
        #expect(ramp == ramp.sorted())
        // 50 at the lead's rate of 10, and 6000 on the ramp.
        #expect(abs(ramp.count - 6050) <= 1)
        #expect(abs(rate(ramp, 0, 10, lead: 5) - 15) < 0.5)
        #expect(abs(rate(ramp, 45, 55, lead: 5) - 60) < 0.5)
        #expect(abs(rate(ramp, 90, 100, lead: 5) - 105) < 0.5)
        let steps = draw(.steps(rates: [20, 0.001, 50], seconds: 20), .constant)
        #expect(abs(rate(steps, 1, 19, lead: 5) - 20) < 0.5)
        #expect(rate(steps, 21, 39, lead: 5) < 0.2)
        #expect(abs(rate(steps, 41, 59, lead: 5) - 50) < 0.5)
        let spike = draw(
            .spike(base: 10, peak: 200, seconds: 10, before: 30, after: 30), .poisson)
        #expect(abs(rate(spike, 0, 30, lead: 5) - 10) < 3)
        #expect(abs(rate(spike, 30, 40, lead: 5) - 200) < 15)
        #expect(abs(rate(spike, 41, 70, lead: 5) - 10) < 3)
    }

    @Test("a scenario file has shapes, soaks and a search, and reads what it writes")
    func yaml() throws {
        let text = """
            version: 1
            name: shapes
            target: { url: "http://127.0.0.1:1", dialect: openai }
            request: { prompt: "a fox", size: 64x64 }
            levels:
              - ramp: { from: 1/s, to: 10/s, over: 2m }
              - steps: { rates: [2/s, 4/s], each: 30s, arrivals: constant }
              - spike: { base: 1/s, peak: 20/s, for: 5s, before: 10s, after: 20s }
              - soak: { users: 4, for: 2h }
              - search: { users: 8, levels: 6 }
            slo: { e2e_p95: 2s }
            """
        let scenario = try Scenario(yaml: text)
        #expect(try Scenario(yaml: scenario.yaml) == scenario)
        let plan = try RunPlan(scenario)
        let loads = plan.visits.map(\.visit)
        #expect(
            loads.map(\.level) == [
                "ramp-1.0-10.0", "steps-2.0-4.0", "spike-1.0-20.0", "soak", "search-closed",
                "search-open-1", "search-open-2", "search-open-3", "search-open-4",
                "search-open-5",
            ])
        #expect(loads[0].load.seconds == 120 && loads[3].load.seconds == 7200)
        #expect(plan.requests().count { $0.level == "ramp-1.0-10.0" } == 660 + 5)
    }

    @Test(
        "what a shape cannot be is said",
        arguments: [
            ("soak: { for: 2h }", "either users or rate"), ("ramp: { from: 1/s, over: 2m }", "to"),
            ("spike: { base: 1, peak: 2/s, for: 1s, before: 1s, after: 1s }", "12.5/s"),
            ("steps: { rates: [1/s], each: 0s }", "a time above 0"),
        ])
    func invalid(level: String, message: String) {
        let text = """
            version: 1
            name: shapes
            target: { url: "http://127.0.0.1:1", dialect: openai }
            request: { prompt: "a fox", size: 64x64 }
            levels:
              - \(level)
            """
        let error = #expect(throws: ScenarioError.self) { try Scenario(yaml: text) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test("a search without objectives is refused")
    func objectives() throws {
        var scenario = Scenario(
            name: "search", target: .init(url: "http://127.0.0.1:1"),
            request: RequestMix(prompt: "a", sizes: [Weighted(.init(width: 64, height: 64))]),
            levels: [.search(arrivals: .poisson, users: 4, levels: 8, maximumInFlight: 64)])
        let error = #expect(throws: ScenarioError.self) { try RunPlan(scenario) }
        #expect(error?.description.contains("objectives") == true)
        scenario.objectives.endToEndP95 = 1
        #expect(try RunPlan(scenario).visits.count == 8)
    }

    @Test("the search ends within 5 % of a capacity in at most 8 levels")
    func steps() {
        for tenth in 5...14 {
            // The pilot of a closed loop is above or below the highest rate that keeps the objectives.
            let capacity = 10.0
            var search = RateSearch(pilot: capacity * 10 / Double(tenth))
            while let rate = search.next, search.trials.count < 20 {
                search.trials.append(.init(rate: rate, isKept: rate <= capacity))
            }
            #expect(search.trials.count <= 7, "\(tenth): \(search.trials)")
            #expect((search.kept ?? 0) <= capacity && (search.kept ?? 0) > 0.95 * capacity)
            #expect((search.failed ?? 0) > capacity && (search.failed ?? 99) < 1.05 * capacity)
        }
    }

    @Test("the search finds the capacity of the mock server within 5 % in at most 8 levels")
    func mock() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.2
        settings.devices = 8
        let (folder, manifest, _) = try await MockRunTests.run(
            settings,
            levels: [.search(arrivals: .constant, users: 16, levels: 8, maximumInFlight: 400)],
            hold: 5
        ) { $0.objectives.endToEndP95 = 0.35 }
        defer { try? FileManager.default.removeItem(at: folder.url.deletingLastPathComponent()) }
        #expect(manifest.status == .complete)
        #expect(manifest.levels.count <= 8)
        #expect(manifest.levels.allSatisfy { $0.load.kind == .closed || $0.load.rate != nil })
        let summary = try RunReporter(folder).summary
        let search = try #require(summary.search)
        let kept = try #require(search.kept)
        print("search: \(search.text), capacity \(settings.capacity)/s, \(search.trials)")
        #expect(abs(kept / settings.capacity - 1) <= 0.05, "\(search)")
    }

    @Test("a ramp is sent as planned and held for its time")
    func ramp() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.02
        settings.devices = 8
        let (folder, manifest, _) = try await MockRunTests.run(
            settings,
            levels: [
                .shaped(
                    arrivals: .constant, shape: .ramp(from: 5, to: 45, seconds: 2),
                    maximumInFlight: 100)
            ], hold: 0.1)
        defer { try? FileManager.default.removeItem(at: folder.url.deletingLastPathComponent()) }
        let level = folder.level(manifest.levels[0])
        let result = try level.result()
        #expect(abs((result.held?.seconds ?? 0) - 2) < 0.7)
        let sent = try level.requests().filter { $0.purpose == .load && $0.phase != .prime }
        // 1 during the settling of 0.2 s, and 50 on the ramp.
        #expect(abs(sent.count - 51) <= 2)
        let start = try #require(result.held?.start)
        let early = sent.count { $0.times.planned < start + 1_000_000_000 }
        #expect(early < sent.count / 2)
    }
}
