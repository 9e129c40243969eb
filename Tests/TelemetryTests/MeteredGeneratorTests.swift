// Part of Inkstone. Licence: see LICENSE.

import Engine
import Imaging
import Service
import Telemetry
import Testing

/// Every request is counted once, however it ends.
@Suite(.timeLimit(.minutes(5))) struct MeteredGeneratorTests {
    private let generator: ScriptedGenerator
    private let telemetry = ServiceTelemetry(version: "1.2.3")
    private let meter: EngineMeter
    private let metered: MeteredGenerator

    init() throws {
        generator = try ScriptedGenerator()
        meter = EngineMeter(telemetry.engine)
        metered = MeteredGenerator(generator, meter: meter)
    }

    private func read() throws -> PrometheusText {
        try PrometheusText(MetricsText.render(telemetry.registry.families, as: .prometheus))
    }

    private func preview() throws -> RGBImage {
        try RGBImage(width: 1, height: 1, filledWith: (0, 0, 0))
    }

    /// Takes all events of a stream; returns how many came before it ended or failed.
    private func drain(_ events: JobEventStream) async -> Int {
        var count = 0
        do { for try await _ in events { count += 1 } } catch {}
        return count
    }

    @Test("a request that succeeds")
    func success() async throws {
        let report = JobReport()
        let events = metered.events(for: try generator.request(), model: "tiny", report: report)
        let stream = generator[0]
        stream.yield(.queued(position: 1))
        stream.yield(.queued(position: 0))
        stream.yield(.started)
        for step in 1...4 {
            stream.yield(.step(image: 0, step: step, steps: 4, seconds: 0.1))
            stream.yield(.preview(image: 0, step: step, try preview()))
        }
        stream.yield(.image(try generator.picture()))
        stream.finish()
        #expect(await drain(events) == 12, "all events go on")
        let read = try read()
        let tiny = ["model": "tiny"]
        #expect(read.value("inkstone_images_total", tiny) == 1)
        #expect(read.value("inkstone_pixels_total", tiny) == 512)
        for name in [
            "queue_time", "time_to_first_preview", "generation_duration", "text_encode",
            "vae_decode",
        ] {
            #expect(read.value("inkstone_\(name)_seconds_count", tiny) == 1, "\(name)")
        }
        #expect(read.value("inkstone_text_encode_seconds_sum", tiny) == 0.25)
        #expect(read.value("inkstone_vae_decode_seconds_sum", tiny) == 0.25)
        #expect(
            read.value("inkstone_generations_total", ["model": "tiny", "outcome": "ok"]) == 1)
        #expect(read.value("inkstone_requests_running") == 0)
        #expect(read.value("inkstone_requests_queued", ["priority": "normal"]) == 0)
        #expect(read.value("inkstone_engine_busy_seconds_total", ["device": "cpu"]) == 0.5)
        let moments = report.moments
        let (submitted, started, ended) = (
            try #require(moments.submitted), try #require(moments.started),
            try #require(moments.ended)
        )
        #expect(submitted <= started && started <= ended)
    }

    @Test(
        "a request that fails",
        arguments: [
            (GenerationError(.numeric, "x"), "numeric"),
            (GenerationError(.internalFailure, "x"), "internal"),
        ])
    func failure(error: GenerationError, outcome: String) async throws {
        let events = metered.events(for: try generator.request(), model: "tiny")
        generator[0].yield(.queued(position: 0))
        generator[0].yield(.started)
        generator[0].finish(throwing: error)
        await #expect(throws: error) { for try await _ in events {} }
        let read = try read()
        #expect(read.value("inkstone_requests_running") == 0)
        #expect(read.value("inkstone_queue_time_seconds_count", ["model": "tiny"]) == 1)
        #expect(read.value("inkstone_generation_duration_seconds_count", ["model": "tiny"]) == 1)
        #expect(
            read.value("inkstone_generations_total", ["model": "tiny", "outcome": outcome]) == 1)
        #expect(read.value("inkstone_images_total", ["model": "tiny"]) == nil)
    }

    @Test("a request that the engine does not take waits nowhere")
    func refusal() async throws {
        let events = metered.events(for: try generator.request(), model: "tiny")
        generator[0].finish(throwing: GenerationError(.busy, "full"))
        await #expect(throws: GenerationError.self) { for try await _ in events {} }
        let read = try read()
        #expect(read.value("inkstone_queue_time_seconds_count", ["model": "tiny"]) == nil)
        #expect(
            read.value("inkstone_generations_total", ["model": "tiny", "outcome": "busy"]) == 1)
    }

    @Test("a request that its client gives up, waiting or in work", arguments: [false, true])
    func cancellation(isRunning: Bool) async throws {
        let events = metered.events(for: try generator.request(), model: "tiny")
        let (cancelled, cancelling) = AsyncStream<Void>.makeStream()
        generator[0].onCancel { cancelling.yield() }
        generator[0].yield(.queued(position: 0))
        if isRunning { generator[0].yield(.started) }
        let (reached, reaching) = AsyncStream<Void>.makeStream()
        let client = Task {
            var count = 0
            for try await _ in events {
                count += 1
                if count == (isRunning ? 2 : 1) { reaching.yield() }
            }
        }
        for await _ in reached { break }
        #expect(meter.queueDepth == (isRunning ? 0 : 1))
        #expect(meter.running == (isRunning ? 1 : 0))
        client.cancel()
        for await _ in cancelled { break }
        #expect(meter.queueDepth == 0 && meter.running == 0)
        generator[0].yield(.image(try generator.picture()))
        let read = try read()
        let phase = isRunning ? "running" : "queued"
        #expect(read.value("inkstone_requests_cancelled_total", ["phase": phase]) == 1)
        #expect(
            read.value("inkstone_generations_total", ["model": "tiny", "outcome": "cancelled"])
                == 1)
        #expect(read.value("inkstone_queue_time_seconds_count", ["model": "tiny"]) == 1)
        #expect(read.value("inkstone_images_total", ["model": "tiny"]) == nil)
    }

    @Test("passes of the engine are counted, and their pictures")
    func passes() throws {
        telemetry.engine.count(PassReport(images: 3, tokens: 300, seconds: 0.5), model: "tiny")
        telemetry.engine.count(PassReport(images: 1, tokens: 100, seconds: 0.25), model: "tiny")
        let (read, tiny) = (try read(), ["model": "tiny"])
        #expect(read.value("inkstone_denoise_step_seconds_count", tiny) == 2)
        #expect(read.value("inkstone_denoise_step_seconds_sum", tiny) == 0.75)
        #expect(read.value("inkstone_batch_size_sum", tiny) == 4)
        #expect(read.value("inkstone_denoise_evaluations_total", tiny) == 4)
        #expect(read.value("inkstone_denoise_tokens_total", tiny) == 400)
        #expect(read.value("inkstone_engine_busy_seconds_total", ["device": "cpu"]) == 0.75)
    }

    @Test("busy time and steps belong to the device that did them")
    func devices() async throws {
        let pass = PassReport(images: 3, tokens: 300, seconds: 0.5)
        telemetry.engine.count(pass, model: "tiny", device: "vulkan:1")
        telemetry.engine.count(pass, model: "tiny")
        var image = try generator.picture()
        image.origin = ImageOrigin(device: "vulkan:1", kernels: "vulkan Card", precision: "int8")
        let request = metered.events(for: try generator.request(), model: "tiny")
        generator[0].yield(.started)
        generator[0].yield(.image(image))
        generator[0].finish()
        _ = await drain(request)
        let stages = image.seconds.text + image.seconds.decode
        let read = try read()
        let busy = try #require(
            read.value("inkstone_engine_busy_seconds_total", ["device": "vulkan:1"]))
        #expect(stages > 0 && abs(busy - 0.5 - stages) < 1e-9)
        #expect(read.value("inkstone_engine_busy_seconds_total", ["device": "cpu"]) == 0.5)
        for device in ["cpu", "vulkan:1"] {
            #expect(read.value("inkstone_device_steps_total", ["device": device]) == 3)
        }
    }

    @Test("a loaded model is exported, and its counters begin at 0")
    func modelLoaded() throws {
        telemetry.engine.modelLoaded(generator.model, seconds: 1.5, loras: 2)
        let (read, tiny) = (try read(), ["model": "tiny"])
        #expect(read.value("inkstone_build_info", ["version": "1.2.3"]) == 1)
        #expect(read.value("inkstone_model_load_seconds", tiny) == 1.5)
        #expect(read.value("inkstone_lora_loaded", tiny) == 2)
        #expect(
            read.value(
                "inkstone_model_info", ["model": "tiny", "precision": "f32", "kernels": "portable"])
                == 1)
        #expect(read.value("inkstone_images_total", tiny) == 0)
        #expect(read.value("inkstone_generations_total", ["model": "tiny", "outcome": "ok"]) == 0)
    }

    @Test("a time to wait follows what is left of the requests in work")
    func retryAfter() async throws {
        #expect(meter.retryAfter == 2, "nothing is known yet")
        // An image of 4 steps took a second: a step takes a quarter.
        let first = metered.events(for: try generator.request(), model: "tiny")
        generator[0].yield(.started)
        generator[0].yield(.image(try generator.picture()))
        generator[0].finish()
        _ = await drain(first)
        // Two images of 20 steps with guidance: 2 x 20 x 2 quarters are 20 seconds.
        let second = metered.events(
            for: try generator.request(steps: 20, count: 2, guidance: 1), model: "tiny")
        var iterator = second.makeAsyncIterator()
        generator[1].yield(.started)
        _ = try await iterator.next()
        #expect(meter.retryAfter == 20)
        for step in 1...10 {
            generator[1].yield(.step(image: 0, step: step, steps: 20, seconds: 0.1))
            _ = try await iterator.next()
        }
        #expect(meter.retryAfter == 15)
        // Another one of a single step shares the device: 2 x a quarter.
        let third = metered.events(for: try generator.request(steps: 1), model: "tiny")
        var others = third.makeAsyncIterator()
        generator[2].yield(.started)
        _ = try await others.next()
        #expect(meter.retryAfter == 1)
        generator[1].finish()
        generator[2].finish()
    }
}
