// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Service
import Testing

/// Workers that are killed or stopped while they draw.
@Suite("A request outlives its worker", .serialized, .timeLimit(.minutes(3)))
struct WorkerDeathTests {
    @Test("the picture comes all the same, once", arguments: [1, 2])
    func killed(times: Int) async throws {
        try await WorkerBench.withPool { pool in
            let model = try await pool.launch(WorkerBench.launch)
            // Long enough that its end is far when the first event is heard on a busy machine.
            let request = try WorkerBench.request(model, steps: 200, count: 3)
            var kills = 0
            let outcome = try await Outcome(pool.events(for: request, model: model.id)) { runs in
                guard runs > kills, kills < times else { return }
                kills += 1
                kill(try await WorkerBench.pid(pool), SIGKILL)
            }
            #expect(kills == times)
            #expect(outcome.story.count { $0 == "started" } == times + 1)
            #expect(outcome.story.count { $0 == "queued" } >= times + 1)
            #expect(outcome.list == (try WorkerBench.expected(request)))
            let origin = ImageOrigin(device: "cpu", kernels: model.kernels, precision: "f32")
            #expect(outcome.origins == [origin])
            #expect(try await #require(pool.report().first).replicas[0].restarts == times)
        }
    }

    @Test("pictures that were delivered are not drawn again")
    func delivered() async throws {
        try await WorkerBench.withPool { pool in
            // One image in a pass: they end one after the other.
            var launch = WorkerBench.launch
            launch.limits = SchedulerLimits(passTokens: 1)
            let model = try await pool.launch(launch)
            let request = try WorkerBench.request(model, steps: 30, count: 4)
            var victim: Int32?
            var story: [String] = []
            for try await event in pool.events(for: request, model: model.id) {
                switch event {
                case .image(let image):
                    story.append("\(image.index) \(image.seed) \(image.pixelDigest)")
                    if victim == nil {
                        victim = try await WorkerBench.pid(pool)
                        kill(try #require(victim), SIGKILL)
                    }
                default: break
                }
            }
            let expected = try WorkerBench.expected(request).enumerated().map {
                "\($0.offset) \(7 + $0.offset) \($0.element)"
            }
            #expect(story.sorted() == expected)
        }
    }

    @Test("after too many deaths the request fails, and the next one is served")
    func givenUp() async throws {
        try await WorkerBench.withPool(configure: { $0.reruns = 1 }) { pool in
            let model = try await pool.launch(WorkerBench.launch)
            let long = try WorkerBench.request(model, steps: 100)
            var kills = 0
            let error = await #expect(throws: GenerationError.self) {
                _ = try await Outcome(pool.events(for: long, model: model.id)) { runs in
                    guard runs > kills else { return }
                    kills += 1
                    kill(try await WorkerBench.pid(pool), SIGKILL)
                }
            }
            #expect(error?.code == .workerLost && kills == 2)
            let short = try WorkerBench.request(model)
            let outcome = try await Outcome(pool.events(for: short, model: model.id))
            #expect(outcome.list == (try WorkerBench.expected(short)))
        }
    }

    @Test("a worker that stands still is replaced")
    func hang() async throws {
        try await WorkerBench.withPool(configure: { $0.hangTimeout = .seconds(3) }) { pool in
            let model = try await pool.launch(WorkerBench.launch)
            let request = try WorkerBench.request(model, steps: 60)
            var isStopped = false
            let outcome = try await Outcome(pool.events(for: request, model: model.id)) { _ in
                guard !isStopped else { return }
                isStopped = true
                kill(try await WorkerBench.pid(pool), SIGSTOP)
            }
            #expect(outcome.list == (try WorkerBench.expected(request)))
            // More, if this process had no time to read what the worker said.
            #expect(outcome.story.count { $0 == "started" } >= 2)
        }
    }

    @Test("one that dies without requests is replaced, too")
    func idleDeath() async throws {
        try await WorkerBench.withPool { pool in
            try await pool.launch(WorkerBench.launch)
            let first = try await WorkerBench.pid(pool)
            kill(first, SIGKILL)
            let isReplaced = try await WorkerBench.wait {
                let replica = try #require(await pool.report().first?.replicas.first)
                return replica.pid != first && replica.status?.state == .ready
            }
            #expect(isReplaced)
        }
    }
}
