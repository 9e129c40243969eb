// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Parameters
import Testing
import ZImage

/// Samplers and schedules against the numbers of `Tests/Fixtures/make_sampler_fixtures.py`.
@Suite("Samplers on a model with a known answer") struct SamplerTests {
    private struct Goldens: Decodable {
        struct Levels: Decodable {
            let steps: Int
            let shift: Double
            let lists: [String: [Double]]
        }
        struct Run: Decodable {
            let result: Double
            let evaluations: Int
        }
        struct Reference: Decodable {
            let levels: [Double]
            let after: [Double]
            let order: Int?
        }

        let levels: [Levels]
        let toy: [String: [String: Run]]
        let diffusers: [String: Reference]

        static let stored = Swift.Result {
            try JSONDecoder().decode(Goldens.self, from: Data(contentsOf: file))
        }
        private static let file = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/samplers/goldens.json")
    }

    /// An even mixture of two Gaussians: the exact expectation of the image.
    private func predict(_ x: Double, _ level: Double) -> Double {
        let a = 1 - level
        let variance = 0.16 * a * a + level * level
        var (sum, weights) = (0.0, 0.0)
        for mean in [-0.5, 1.0] {
            let weight = exp(-(x - a * mean) * (x - a * mean) / (2 * variance))
            sum += weight * (mean + 0.16 * a / variance * (x - a * mean))
            weights += weight
        }
        return sum / weights
    }

    /// Runs a sampler from 1; returns the latents at the end of each step, by the evaluations until then.
    private func run(
        _ settings: SamplerRun.Settings, _ levels: [Double]
    ) -> (after: [Int: Double], result: Double, run: SamplerRun) {
        var run = SamplerRun(settings, levels: levels, latents: [1])
        var draws = 0.0
        var after: [Int: Double] = [:]
        while !run.isFinished {
            let query = run.query
            let x = Double(query.latents[0])
            let velocity = Float((x - predict(x, query.level)) / query.level)
            run.take([velocity]) { count in
                draws += 1
                return Array(repeating: Float(cos(draws)), count: count)
            }
            if run.isBetweenSteps { after[run.evaluations] = Double(run.latents[0]) }
        }
        return (after, Double(run.latents[0]), run)
    }

    private let levels = NoiseSchedule.standard.levels(steps: 8, shift: 3)

    @Test("every sampler has the result of its formula") func formulas() throws {
        let toy = try Goldens.stored.get().toy
        #expect(toy.count == 15)
        for (name, results) in toy.sorted(by: { $0.key < $1.key }) {
            let parts = name.split(separator: " ")
            let sampler = try #require(Sampler(rawValue: String(parts[0])))
            let eta = parts.count > 1 ? try #require(Double(parts[1])) : 1
            for (tag, levels) in [("whole", levels), ("tail", Array(levels[3...]))] {
                let golden = try #require(results[tag])
                let (_, result, run) = run(.init(sampler, eta: eta), levels)
                #expect(abs(result - golden.result) < 1e-6, "\(name) \(tag): \(result)")
                #expect(run.evaluations == golden.evaluations)
                #expect(run.totalEvaluations == golden.evaluations, "\(name) \(tag)")
            }
        }
    }

    @Test("every step is that of diffusers' scheduler classes") func trajectories() throws {
        let reference = try Goldens.stored.get().diffusers
        #expect(reference.count == 12)
        for (name, golden) in reference.sorted(by: { $0.key < $1.key }) {
            let word = String(try #require(name.split(separator: " ").first))
            let sampler = try #require(Sampler(rawValue: word))
            let (after, _, run) = run(.init(sampler, order: golden.order), golden.levels)
            #expect(run.evaluations == golden.after.count)
            #expect(after.count == golden.levels.count - 1)
            for (evaluations, x) in after {
                let expected = golden.after[evaluations - 1]
                #expect(abs(x - expected) < 1e-6, "\(name) \(evaluations): \(x) \(expected)")
            }
        }
    }

    @Test("every schedule has the levels of ComfyUI, RES4LYF and stable-diffusion.cpp")
    func schedules() throws {
        for golden in try Goldens.stored.get().levels {
            #expect(Set(golden.lists.keys) == Set(NoiseSchedule.allCases.map(\.rawValue)))
            for (name, expected) in golden.lists {
                let schedule = try #require(NoiseSchedule(rawValue: name))
                let levels = schedule.levels(steps: golden.steps, shift: golden.shift)
                try #require(levels.count == expected.count, "\(name) \(golden.steps)")
                for (level, other) in zip(levels, expected) {
                    #expect(abs(level - other) < 1e-6, "\(name) \(golden.steps)")
                }
            }
        }
    }

    @Test(
        "levels fall from at most 1 to 0, for every number of steps",
        arguments: NoiseSchedule.allCases)
    func falling(schedule: NoiseSchedule) {
        for steps in schedule.minimumSteps...200 {
            for shift in [0.5, 1, 3, 12] {
                let levels = schedule.levels(steps: steps, shift: shift)
                #expect(levels[0] <= 1 && levels.last == 0 && levels.count >= 2)
                #expect(zip(levels, levels.dropFirst()).allSatisfy { $0 > $1 }, "\(steps) \(shift)")
            }
        }
    }

    @Test(
        "every sampler ends for every number of steps, with finite numbers",
        arguments: Sampler.allCases)
    func ends(sampler: Sampler) {
        for steps in [1, 2, 3, 5, 30] {
            for eta in [0, 0.3, 1] {
                for schedule in NoiseSchedule.allCases where steps >= schedule.minimumSteps {
                    let levels = schedule.levels(steps: steps, shift: 3)
                    let (_, result, run) = run(.init(sampler, eta: eta), levels)
                    #expect(result.isFinite && abs(result) < 40, "\(schedule) \(steps) \(eta)")
                    #expect(run.evaluations == run.totalEvaluations)
                }
            }
        }
    }

    @Test("names of A1111, ComfyUI, stable-diffusion.cpp and diffusers") func names() throws {
        let samplers: [(String, Sampler?)] = [
            ("Euler a", .eulerAncestral), ("euler_a", .eulerAncestral),
            ("k_euler_a", .eulerAncestral),
            ("DPM++ 2M", .dpmpp2M), ("dpmpp_2m", .dpmpp2M), ("dpm++2m", .dpmpp2M),
            ("DPMSolverMultistepScheduler", .dpmpp2MLambda), ("uni_pc_bh2", .uniPC),
            ("FlowMatchHeunDiscreteScheduler", .heun), ("DDIM", .euler),
            ("dpmpp_2m_sde_gpu", .dpmpp2MSDE),
            ("", nil), ("default", nil),
        ]
        for (name, sampler) in samplers {
            #expect(try SamplingChoice(sampler: name, schedule: nil).sampler == sampler, "\(name)")
        }
        let joined = try SamplingChoice(sampler: "DPM++ 2M SDE Karras", schedule: "automatic")
        #expect(joined.sampler == .dpmpp2MSDE && joined.schedule == .karras)
        let named = try SamplingChoice(sampler: nil, schedule: "UniPCMultistepScheduler")
        #expect(named.sampler == .uniPC && named.schedule == nil)
        #expect(
            try SamplingChoice(sampler: "Euler", schedule: "SGM Uniform").schedule == .sgmUniform)
        for sampler in Sampler.allCases {
            for name in [sampler.rawValue, sampler.label] + sampler.aliases {
                #expect(try SamplingChoice(sampler: name, schedule: nil).sampler == sampler)
            }
        }
        for schedule in NoiseSchedule.allCases where schedule != .standard {
            for name in [schedule.rawValue, schedule.label] + schedule.aliases {
                #expect(try SamplingChoice(sampler: nil, schedule: name).schedule == schedule)
            }
        }
        for (sampler, schedule, field) in [
            ("LMS", "", "sampler"), ("DPM++ 3M SDE Karras", "", "sampler"), ("欧拉", "", "sampler"),
            ("Euler", "Turbo", "scheduler"), ("Euler", "heun", "scheduler"), ("", "x", "scheduler"),
        ] {
            let error = #expect(throws: RequestError.self) {
                try SamplingChoice(sampler: sampler, schedule: schedule)
            }
            #expect(error?.field == field)
            #expect(
                error?.message.contains(field == "sampler" ? "euler_ancestral" : "karras") == true)
        }
    }
}
