// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import ModelFiles
import Parameters
import Synchronization
import Tensors
import Testing
import ZImage

/// Many requests on one device: same images as alone, first frames first, fair shares.
@Suite("Requests share the device step by step", .timeLimit(.minutes(2)))
struct StepSchedulerTests {
    private static let model = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    private final class Passes: Sendable {
        let reports = Mutex<[PassReport]>([])
    }

    private func engine(
        _ limits: SchedulerLimits = SchedulerLimits(), _ passes: Passes = Passes()
    ) throws -> InferenceEngine<CPUBackend> {
        let pipeline = try Pipeline(
            model: try ModelDirectory(url: Self.model),
            device: try CPUBackend(precision: .f32, threads: 2))
        return InferenceEngine(pipeline: pipeline, limits: limits) { report in
            passes.reports.withLock { $0.append(report) }
        }
    }

    private func request(
        _ engine: InferenceEngine<CPUBackend>, _ prompt: String = "a red apple", steps: Int = 4,
        side: Int = 64,
        guidance: Double = 0, count: Int = 1, seed: UInt64 = 7
    ) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: prompt)
        draft.steps = steps
        (draft.width, draft.height) = (side, side)
        draft.guidanceScale = guidance
        draft.count = count
        draft.seed = seed
        return try ImageRequest(draft, for: engine.description)
    }

    /// Requests that differ in everything that may differ within a batch.
    private func mixture(_ engine: InferenceEngine<CPUBackend>) throws -> [ImageRequest] {
        try (0..<9).map { index in
            try request(
                engine, ["a cat", "一只狗", "a pizza and a key on a blue background"][index % 3],
                steps: 2 + index % 4, side: [64, 96, 48][index / 3],
                guidance: index % 2 == 0 ? 0 : 3, count: index == 4 ? 3 : 1,
                seed: UInt64(100 + index))
        }
    }

    private func digests(_ request: ImageRequest, alone engine: InferenceEngine<CPUBackend>) throws
        -> [String]
    {
        var digests: [String] = []
        try engine.run(request, isCancelled: { false }) { event in
            if case .image(let image) = event { digests.append(image.pixelDigest) }
        }
        return digests
    }

    private func digests(_ requests: [ImageRequest], on engine: InferenceEngine<CPUBackend>)
        async throws
        -> [[String]]
    {
        try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    var digests: [String] = []
                    let events = engine.events(for: request, model: engine.description.id)
                    for try await event in events {
                        if case .image(let image) = event { digests.append(image.pixelDigest) }
                    }
                    return (index, digests)
                }
            }
            return try await group.reduce(into: Array(repeating: [], count: requests.count)) {
                $0[$1.0] = $1.1
            }
        }
    }

    @Test(
        "pictures among others are those made alone, whatever the size of a pass",
        arguments: [1, 200, 4096])
    func invariance(passTokens: Int) async throws {
        let passes = Passes()
        let engine = try engine(SchedulerLimits(passTokens: passTokens), passes)
        let requests = try mixture(engine)
        let together = try await digests(requests, on: engine)
        let most = passes.reports.withLock { $0.map(\.images).max() ?? 0 }
        #expect(passTokens == 1 ? most == 1 : most > 1)
        let other = try self.engine()
        let alone = try requests.map { try digests($0, alone: other) }
        #expect(together == alone)
        #expect(together[4].count == 3)
    }

    /// Requests on a scheduler, and what happened in which order.
    private final class Story {
        var events: [String] = []

        func job(_ name: String, _ request: ImageRequest) -> ScheduledJob<CPUBackend> {
            ScheduledJob(
                request, options: RunOptions(), isCancelled: { false },
                onEvent: { [self] event in
                    switch event {
                    case .step(_, let step, _, _): events.append("\(name) \(step)")
                    case .preview(_, let step, _): events.append("\(name) preview \(step)")
                    default: break
                    }
                },
                onEnd: { [self] error in events.append("\(name) \(error == nil ? "end" : "failed")")
                })
        }
    }

    @Test("a newcomer's first preview comes between the layers of a running pass")
    func firstFrame() throws {
        let engine = try engine()
        let story = Story()
        var asked = 0
        let newcomer = story.job("b", try request(engine, "a cat", steps: 2))
        let scheduler = StepScheduler(
            pipeline: engine.pipeline, passTokens: 100,
            intake: { scheduler in
                asked += 1
                // Once before every pass and after each layer: within the second step.
                if asked == 12 { scheduler.add(newcomer) }
            })
        scheduler.add(story.job("a", try request(engine, steps: 3)))
        while scheduler.advance() {}
        let first = try #require(story.events.firstIndex(of: "b preview 1"))
        let step = try #require(story.events.firstIndex(of: "a 2"))
        #expect(story.events[..<2] == ["a 1", "a preview 1"])
        #expect(first < step, "\(story.events)")
        #expect(story.events.contains("a end") && story.events.contains("b end"))
    }

    @Test("with one image per pass, all requests get the same number of tokens")
    func fairShares() throws {
        let engine = try engine()
        let story = Story()
        let scheduler = StepScheduler(pipeline: engine.pipeline, passTokens: 1)
        for (name, steps) in [("a", 9), ("b", 3), ("c", 9)] {
            scheduler.add(story.job(name, try request(engine, steps: steps)))
        }
        // Twice the side: four times the image's tokens, so a fraction of the steps.
        scheduler.add(story.job("d", try request(engine, steps: 9, side: 128)))
        while scheduler.advance() {}
        let steps = story.events.filter { !$0.contains("preview") }
        #expect(steps.filter { $0.hasSuffix("end") } == ["b end", "a end", "c end", "d end"])
        let upToFirstEnd = steps.prefix { $0 != "b end" }
        for name in ["a", "c"] {
            let count = upToFirstEnd.count { $0.hasPrefix(name) }
            #expect((2...4).contains(count), "\(steps)")
        }
        #expect(upToFirstEnd.count { $0.hasPrefix("d") } <= 2)
    }

    @Test("a request that is given up leaves the others alone")
    func cancelAmongOthers() async throws {
        let engine = try engine()
        let kept = try mixture(engine)
        let given = Task { [request = try request(engine, steps: 100)] in
            for try await event in engine.events(for: request, model: "emoji-nano") {
                if case .step = event { return }
            }
        }
        let together = try await digests(kept, on: engine)
        try await given.value
        while engine.load != (0, 0) { try await Task.sleep(for: .milliseconds(1)) }
        let other = try self.engine()
        #expect(together == (try kept.map { try digests($0, alone: other) }))
    }

    @Test("places in the queue fall to nothing")
    func places() async throws {
        let engine = try engine(SchedulerLimits(running: 1, waiting: 8))
        let streams = try (0..<4).map { index in
            engine.events(
                for: try request(engine, steps: 2, seed: UInt64(index)), model: "emoji-nano")
        }
        for (index, stream) in streams.enumerated() {
            var places: [Int] = []
            var started = false
            for try await event in stream {
                if case .queued(let place) = event {
                    #expect(!started, "no place after the start")
                    places.append(place)
                }
                if case .started = event { started = true }
            }
            #expect(places.first == index)
            #expect(places == places.sorted(by: >))
            #expect(started)
        }
    }
}
