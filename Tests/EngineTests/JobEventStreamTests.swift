// Part of Inkstone. Licence: see LICENSE.

import Engine
import Imaging
import Synchronization
import Testing

/// Cancellation, buffering and numbering of a request's events.
@Suite(.timeLimit(.minutes(5))) struct JobEventStreamTests {
    private static func step(_ number: Int, image: Int = 0) -> JobEvent {
        .step(image: image, step: number, steps: 4, seconds: 0)
    }

    private static func preview(_ step: Int, image: Int = 0) throws -> JobEvent {
        .preview(image: image, step: step, try RGBImage(width: 1, height: 1, pixels: [0, 0, 0]))
    }

    private static func image(_ index: Int) throws -> JobEvent {
        .image(
            GeneratedImage(
                index: index, seed: 0, image: try RGBImage(width: 1, height: 1, pixels: [0, 0, 0]),
                pixelDigest: "", promptTruncated: false,
                seconds: Timings(text: 0, steps: [], decode: 0, total: 0)))
    }

    private static func name(_ event: JobEvent) -> String {
        switch event {
        case .queued(let position): "queued \(position)"
        case .started: "started"
        case .step(let image, let step, _, _): "step \(image) \(step)"
        case .preview(let image, let step, _): "preview \(image) \(step)"
        case .image(let image): "image \(image.index)"
        }
    }

    private func read(_ stream: JobEventStream) async throws -> [String] {
        var names: [String] = []
        for try await event in stream { names.append(Self.name(event)) }
        return names
    }

    /// What an observer saw, and a place to wait for its end.
    private final class Watch: Sendable {
        let seen = Mutex<[String]>([])
        let ends: AsyncStream<String>
        private let ended: AsyncStream<String>.Continuation

        init() { (ends, ended) = AsyncStream.makeStream() }

        func observe(_ stream: JobEventStream) -> JobEventStream {
            stream.observe(
                onEvent: { event in self.seen.withLock { $0.append(name(event)) } },
                onEnd: { end in
                    switch end {
                    case .ok: self.ended.yield("ok")
                    case .cancelled: self.ended.yield("cancelled")
                    case .failed(let error): self.ended.yield("\(error)")
                    }
                })
        }
    }

    @Test("events arrive in order, then the end")
    func order() async throws {
        let (stream, feed) = JobEventStream.makeStream()
        feed.yield(.queued(position: 1))
        feed.yield(.started)
        let reading = Task { try await read(stream) }
        feed.yield(Self.step(1))
        feed.yield(try Self.image(0))
        feed.finish()
        feed.yield(.started)
        feed.finish(throwing: GenerationError(.busy, "too late"))
        #expect(try await reading.value == ["queued 1", "started", "step 0 1", "image 0"])
    }

    @Test("a failure follows the events before it")
    func failure() async throws {
        let stream = JobEventStream([.started], throwing: GenerationError(.numeric, "broke"))
        var names: [String] = []
        await #expect(throws: GenerationError(.numeric, "broke")) {
            for try await event in stream { names.append(Self.name(event)) }
        }
        #expect(names == ["started"])
    }

    @Test("a cancelled reader receives an error, and its producer is cancelled")
    func cancelledReader() async throws {
        let (cancelled, cancel) = AsyncStream<Void>.makeStream()
        let (waits, waiting) = AsyncStream<Void>.makeStream()
        let stream = JobEventStream { feed in
            feed.yield(.started)
            do {
                try await Task.sleep(for: .seconds(3600))
            } catch {
                cancel.yield()
                throw error
            }
        }
        let watch = Watch()
        let reading = Task {
            for try await _ in watch.observe(stream) { waiting.yield() }
            // `AsyncThrowingStream` would get here.
        }
        for await _ in waits { break }
        reading.cancel()
        await #expect(throws: CancellationError.self) { try await reading.value }
        for await _ in cancelled { break }
        for await end in watch.ends {
            #expect(end == "cancelled")
            break
        }
    }

    @Test("a cancelled reader does not take the events before an end for all of them")
    func cancelledAfterTheEnd() async throws {
        let stream = JobEventStream([.started, try Self.image(0)])
        let reading = Task {
            while !Task.isCancelled { await Task.yield() }
            for try await _ in stream {}
        }
        reading.cancel()
        await #expect(throws: CancellationError.self) { try await reading.value }
    }

    @Test("leaving the iteration, and never beginning it, cancels the producer", arguments: [0, 1])
    func abandoned(events: Int) async throws {
        let (cancelled, cancel) = AsyncStream<Void>.makeStream()
        do {
            let (stream, feed) = JobEventStream.makeStream()
            feed.onCancel { cancel.yield() }
            for _ in 0..<events { feed.yield(.started) }
            if events > 0 { for try await _ in stream { break } }
        }
        for await _ in cancelled { break }
        let (stream, feed) = JobEventStream.makeStream()
        feed.finish()
        feed.onCancel { Issue.record("a finished producer is not cancelled") }
        _ = try await read(stream)
    }

    @Test("a slow reader misses old progress, and neither the start nor an image")
    func bound() async throws {
        let (stream, feed) = JobEventStream.makeStream()
        let watch = Watch()
        let limit = JobEventStream.bufferLimit
        let observed = watch.observe(stream)
        feed.yield(.queued(position: 0))
        feed.yield(.started)
        for number in 1...limit {
            feed.yield(Self.step(number))
            feed.yield(try Self.preview(number))
            if number % 100 == 0 { feed.yield(try Self.image(number)) }
        }
        feed.finish()
        let names = try await read(observed)
        let images = (1...(limit / 100)).map { "image \($0 * 100)" }
        #expect(names.count == limit + 1 + images.count)
        #expect(names.first == "started")
        #expect(names.filter { $0.hasPrefix("image") } == images)
        #expect(names.last == "preview 0 \(limit)")
        #expect(watch.seen.withLock { $0.count } == 2 * limit + 2 + images.count, "all are counted")
    }

    @Test("an observer sees what waits already, each event and one end")
    func observers() async throws {
        let (stream, feed) = JobEventStream.makeStream()
        feed.yield(.queued(position: 0))
        let (early, late) = (Watch(), Watch())
        let observed = early.observe(stream)
        feed.yield(.started)
        #expect(early.seen.withLock { $0 } == ["queued 0", "started"])
        feed.finish(throwing: GenerationError(.busy, "full"))
        _ = late.observe(observed)
        #expect(late.seen.withLock { $0 } == ["queued 0", "started"])
        for watch in [early, late] {
            for await end in watch.ends {
                #expect(end == "full")
                break
            }
        }
        await #expect(throws: GenerationError.self) { _ = try await read(observed) }
    }

    @Test("images that run again have the client's numbers")
    func numbering() async throws {
        let events: [JobEvent] = [
            .queued(position: 3), .started, Self.step(1, image: 1), try Self.preview(1),
            try Self.image(0),
        ]
        let names = try await read(JobEventStream(events).numbered(from: 2).numbered(from: 1))
        #expect(names == ["queued 3", "started", "step 4 1", "preview 3 1", "image 3"])
    }

    @Test("a stream that forwards another one cancels it, and ends as it does")
    func forwarding() async throws {
        let (cancelled, cancel) = AsyncStream<Void>.makeStream()
        do {
            let (inner, feed) = JobEventStream.makeStream()
            feed.onCancel { cancel.yield() }
            feed.yield(.started)
            for try await _ in JobEventStream({ try await $0.forward(inner) }) { break }
        }
        for await _ in cancelled { break }
        let failing = JobEventStream {
            try await $0.forward(
                JobEventStream([.started], throwing: GenerationError(.numeric, "broke")))
        }
        await #expect(throws: GenerationError(.numeric, "broke")) { _ = try await read(failing) }
    }
}
