// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Parameters
import Service
import Synchronization
import Testing
import ZImage

/// Requests through a worker of the embedded model.
@Suite("A worker draws what its gateway would draw", .serialized, .timeLimit(.minutes(3)))
struct WorkerRequestTests {
    @Test("the same pictures, bit for bit, with all events")
    func same() async throws {
        let logs = PoolLog()
        try await WorkerBench.withPool(logs: logs) { pool in
            #expect(await pool.models.isEmpty)
            let model = try await pool.launch(WorkerBench.launch)
            #expect(model.id == "emoji-nano" && model.precision == "f32")
            #expect(await pool.models == [model])
            let plain = try WorkerBench.request(model, count: 2) {
                $0.guidanceScale = 2.5
                $0.negativePrompt = ""
                $0.cfgTruncation = 0.7
            }
            let outcome = try await Outcome(pool.events(for: plain, model: model.id))
            #expect(outcome.list == (try WorkerBench.expected(plain)))
            #expect(outcome.story.prefix(2) == ["queued", "started"])
            #expect(outcome.story.count { $0.hasPrefix("step") } == 6)
            #expect(outcome.story.count { $0.hasPrefix("preview") } == 4)
            #expect(outcome.story.filter { $0.hasPrefix("image") } == ["image 0 7", "image 1 8"])
            #expect(outcome.pixels[1]?.count == 3 * 64 * 48)

            let picture = try RGBImage(
                width: 3, height: 5, pixels: (0..<45).map { UInt8($0 * 5) })
            let edit = try WorkerBench.request(model) {
                $0.source = .init(image: picture)
                $0.strength = 0.6
            }
            let edited = try await Outcome(pool.events(for: edit, model: model.id))
            #expect(edited.list == (try WorkerBench.expected(edit)))
            #expect(edited.list != outcome.list)

            let half = try RGBImage(width: 2, height: 1, pixels: [0, 0, 0, 255, 255, 255])
            let painting = try WorkerBench.request(model) {
                $0.source = .init(image: picture, mask: half)
                $0.strength = 0.6
            }
            let painted = try await Outcome(pool.events(for: painting, model: model.id))
            #expect(painted.list == (try WorkerBench.expected(painting)))
            #expect(painted.list != edited.list)
            // The gateway resizes sources when they arrive.
            let resized = painting.with(source: try painting.source?.resized(to: painting.size))
            #expect(resized.source != painting.source)
            #expect(painted.list == (try WorkerBench.expected(resized)))

            let status = try await WorkerBench.status(pool)
            #expect(status.passes.images >= 8 && status.passes.count >= 4)
            #expect((status.promptCache?.hits ?? 0) > 0)
            #expect(status.memoryBytes > 10_000_000 && status.loaded == 1)
        }
        #expect(logs.count("Worker address: unix:/") == 1)
        let loaded = logs.lines.all.withLock { lines in
            lines.contains {
                $0.wholeMatch(
                    of: /Model 'emoji-nano' loaded successfully with [\d.]+ GB memory usage/) != nil
            }
        }
        #expect(loaded, "\(logs.lines.all.withLock { $0 })")
    }

    @Test("a model that is not launched is refused, and so is too much at once")
    func refusals() async throws {
        try await WorkerBench.withPool { pool in
            var launch = WorkerBench.launch
            launch.limits = SchedulerLimits(running: 1, waiting: 0)
            let model = try await pool.launch(launch)
            let request = try WorkerBench.request(model, steps: 100)
            let other = await #expect(throws: GenerationError.self) {
                _ = try await Outcome(pool.events(for: request, model: "other"))
            }
            #expect(other?.code == .notLoaded)
            var first = pool.events(for: request, model: model.id).makeAsyncIterator()
            _ = try await first.next()
            let second = await #expect(throws: GenerationError.self) {
                _ = try await Outcome(pool.events(for: request, model: model.id))
            }
            #expect(second?.code == .busy)
        }
    }

    @Test("leaving cancels within a step")
    func cancel() async throws {
        try await WorkerBench.withPool { pool in
            let model = try await pool.launch(WorkerBench.launch)
            // Large, so that a step takes longer than the news of the end.
            let request = try WorkerBench.request(model, steps: 200) { draft in
                (draft.width, draft.height) = (model.limits.maximumWidth, 384)
            }
            // Other tests may keep this process from hearing of the steps in time: the quickest counts.
            var passes: [Int] = []
            while passes.count < 6, passes.allSatisfy({ $0 > 4 }) {
                let before = try await WorkerBench.status(pool).passes.count
                var steps = 0
                for try await event in pool.events(for: request, model: model.id) {
                    if case .step = event { steps += 1 }
                    if steps == 2 { break }
                }
                let isFree = try await WorkerBench.wait(seconds: 20) {
                    try await WorkerBench.status(pool).running == 0
                }
                #expect(isFree)
                passes.append(try await WorkerBench.status(pool).passes.count - before)
            }
            // The two that were seen, the one under way, and one more for the way of the news.
            #expect(passes.contains { $0 <= 4 }, "\(passes) of 200 passes")
            #expect(passes.allSatisfy { $0 < 100 })
            let end = try await WorkerBench.status(pool).passes.count
            try await Task.sleep(for: .milliseconds(200))
            #expect(try await WorkerBench.status(pool).passes.count == end)
        }
    }

    @Test("requests go to the replica that has fewest")
    func replicas() async throws {
        try await WorkerBench.withPool { pool in
            var launch = WorkerBench.launch
            launch.replicas = 2
            let model = try await pool.launch(launch)
            let request = try WorkerBench.request(model, steps: 20)
            async let first = Outcome(pool.events(for: request, model: model.id))
            async let second = Outcome(pool.events(for: request, model: model.id))
            #expect(try await first.list == second.list)
            let replicas = try #require(await pool.report().first?.replicas)
            #expect(Set(replicas.compactMap(\.pid)).count == 2)
            let isShared = try await WorkerBench.wait {
                let replicas = try #require(await pool.report().first?.replicas)
                return replicas.map { $0.status?.passes.images } == [20, 20]
            }
            #expect(isShared)
        }
    }
}
