// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Fleet
import Foundation
import Imaging
import Parameters
import Service
import Testing

/// What version 0.1 has stored in NATS is read for ever: see `Tests/Fixtures/formats/README.md`.
struct FleetFormatTests {
    private func bytes(_ name: String) throws -> [UInt8] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/formats")
        return [UInt8](try Data(contentsOf: folder.appending(path: name)))
    }

    private func request() throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: "一条鱼, \"a fish\"")
        draft.negativePrompt = "blurry"
        (draft.width, draft.height) = (64, 48)
        draft.steps = 3
        draft.guidanceScale = 2.5
        draft.cfgNormalization = 0.75
        draft.cfgTruncation = 0.5
        draft.seed = 4_294_967_303
        draft.count = 2
        draft.loras = [LoRAScale("pixel", scale: -0.5)]
        draft.priority = .high
        return try ImageRequest(draft, for: .small)
    }

    @Test func aWaitingJobWithASource() throws {
        let job = try FleetJob.decode(bytes("fleet-job-queued.json"))
        #expect(job.id == "job-0123456789abcdefghij" && job.model == "emoji-nano")
        // Version 0.1 states the strength with the source alone.
        #expect(job.request == (try request().with(strength: 0.5)))
        #expect(job.source?.image == StoredFile(digest: "aa", size: 300))
        #expect(job.source?.mask == StoredFile(digest: "bb", size: 90))
        #expect(job.source?.strength == 0.5)
        #expect(job.state == .queued && job.attempts == 0 && job.isGivenUp == nil)
        #expect(job.requestID == "mine" && job.owner == "ann" && job.gateway == "gateway-1")
        #expect(job.created == 1_790_000_000.25 && job.deadline == 1_790_000_900)
        #expect(job.job().request.strength == 0.5)
    }

    @Test func aFinishedJob() throws {
        let job = try FleetJob.decode(bytes("fleet-job-succeeded.json"))
        #expect(job.request == (try request()) && job.source == nil)
        #expect(job.state == .succeeded && job.attempts == 1 && job.worker == "host-1-2")
        #expect(job.started == 1_790_000_001 && job.finished == 1_790_000_003)
        #expect(job.images.map(\.index) == [1, 0] && job.leading == 2)
        let picture = try #require(job.images.last)
        #expect(picture.seed == 4_294_967_303 && picture.pixelDigest == "cc")
        #expect(picture.file == StoredFile(digest: "dd", size: 6662))
        #expect(picture.seconds == Timings(text: 0.5, steps: [0.25, 0.125], decode: 1, total: 2))
        #expect(
            picture.loras
                == [LoRANote(name: "pixel", scale: -0.5, matched: 42, unmatched: 1, warning: "w")])
    }

    @Test func aFailedJob() throws {
        let job = try FleetJob.decode(bytes("fleet-job-failed.json"))
        #expect(job.state == .failed && job.failure == "It ended." && job.isGivenUp == true)
        #expect(job.isOverdue && job.attempts == 1)
    }

    @Test func presenceOfAWorker() throws {
        let worker = try JSONDecoder().decode(
            WorkerHeartbeat.self, from: Data(bytes("fleet-worker.json")))
        #expect(worker.name == "host-1-2" && worker.host == "host" && worker.version == "0.1.0")
        #expect(worker.jobs == 3 && worker.capacity == 4 && worker.finished == 9)
        #expect(worker.lost == 1 && worker.has(["pixel"]) && worker.isReady(for: ["pixel"]))
        #expect(worker.status.model?.id == "emoji-nano")
        let model = try #require(worker.status.model)
        #expect(
            worker.isAlike(
                ImageOrigin(device: "cpu", kernels: model.kernels, precision: model.precision)))
        #expect(
            !worker.isAlike(
                ImageOrigin(device: "cpu", kernels: "other", precision: model.precision)))
    }

    @Test func eventsInParts() throws {
        // Each message with its length in front, as a 32-bit big-endian number.
        var rest = try bytes("fleet-events.messages")[...]
        var joiner = EventParts.Joiner()
        var frames: [[UInt8]] = []
        while !rest.isEmpty {
            let count = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            if let (frame, attempt) = joiner.append(Array(rest.dropFirst(4).prefix(count))) {
                #expect(attempt == 2)
                frames.append(frame)
            }
            rest = rest.dropFirst(4 + count)
        }
        #expect(frames.count == 2)
        let events = try frames.flatMap { try EventBytes.decode($0) }
        #expect(events.count == 12)
        guard case .image(let image) = events[9] else {
            Issue.record("no image: \(events[9])")
            return
        }
        #expect(
            image.seed == 4_294_967_304
                && SHA256.hexadecimal(image.image.pixels) == image.pixelDigest)
    }
}
