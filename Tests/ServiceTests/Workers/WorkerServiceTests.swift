// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Logging
import Service
import Telemetry
import Testing
import ZImage

/// What workers do beside drawing: counting their passes and reading strangers' images.
@Suite("Workers' services", .serialized, .timeLimit(.minutes(3)))
struct WorkerServiceTests {
    private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/imaging")

    @Test("every pass is counted once, and a terminated model is no longer told")
    func passes() async throws {
        let telemetry = ServiceTelemetry(version: "1.2.3")
        try await WorkerBench.withPool(metrics: telemetry.engine) { pool in
            let model = try await pool.launch(WorkerBench.launch)
            for seed in 1...3 {
                let request = try WorkerBench.request(model, steps: 4, count: 2, seed: UInt64(seed))
                _ = try await Outcome(pool.events(for: request, model: model.id))
            }
            func read() async -> String {
                let workers = await pool.families()
                return MetricsText.render(telemetry.registry.families + workers, as: .prometheus)
            }
            // A busy machine may answer one scrape late, but what was done is not lost.
            let isWhole = try await WorkerBench.wait {
                await read().contains(#"evaluations_total{model="emoji-nano"} 24.0"#)
            }
            #expect(isWhole)
            let text = await read()
            for line in [
                #"inkstone_denoise_evaluations_total{model="emoji-nano"} 24.0"#,
                #"inkstone_batch_size_sum{model="emoji-nano"} 24.0"#,
                #"inkstone_model_parameters{model="emoji-nano"} \#(Double(model.parameterCount))"#,
                #"inkstone_device_steps_total{device="cpu"} 24.0"#,
                #"inkstone_worker_info{model="emoji-nano",worker="emoji-nano/1",device="cpu",kernels="\#(model.kernels)"} 1.0"#,
            ] {
                #expect(text.contains("\n\(line)\n"), "\(line)\n\(text)")
            }
            #expect(
                await read().contains(#"evaluations_total{model="emoji-nano"} 24.0"#), "not again")
            try await pool.terminate(model.id)
            let after = await read()
            #expect(
                !after.contains("inkstone_model_info{") && !after.contains("inkstone_worker_up{"))
            #expect(after.contains(#"evaluations_total{model="emoji-nano"} 24.0"#))
        }
    }

    @Test(
        "a process reads a picture file as the gateway would, and says what is wrong with one",
        arguments: [true, false])
    func decoding(hasWorker: Bool) async throws {
        try await WorkerBench.withPool { pool in
            if hasWorker { try await pool.launch(WorkerBench.launch) }
            let image = try RGBImage(width: 3, height: 5, pixels: (0..<45).map { UInt8($0 * 5) })
            let file = try ImageEncoder.encode(
                image, metadata: ImageMetadata(parameters: "a cat, 猫"))
            let decoded = try await pool.decode(file)
            #expect(decoded == (try ImageDecoder.decode(file)))
            // Its header announces 7000x7000 pixels.
            let large = [UInt8](
                try Data(contentsOf: Self.fixtures.appending(path: "bad-lying-size.png")))
            for bad in [[], [1, 2, 3], Array(file.dropLast(20)), large] {
                let error = await #expect(throws: UnreadableImage.self) {
                    _ = try await pool.decode(bad)
                }
                #expect(error?.description.isEmpty == false)
                let direct = #expect(throws: ImagingError.self) {
                    _ = try ImageDecoder.decode(bad, limits: .upload)
                }
                #expect(error?.description == direct?.description)
                #expect(bad != large || error?.description.contains("at most 32000000") == true)
            }
            if hasWorker { #expect(try await WorkerBench.status(pool).state == .ready) }
        }
    }

    @Test("a request without a body has its answer, however busy this process is")
    func emptyBodies() async throws {
        try await WorkerBench.withPool { pool in
            try await pool.launch(WorkerBench.launch)
            let wanted = #expect(throws: ImagingError.self) { _ = try ImageDecoder.decode([]) }
            // Between two parts of a request there is time enough for the worker to answer and close.
            let others = (0..<8).map { _ in
                Task {
                    while !Task.isCancelled {
                        let end = ContinuousClock.now + .milliseconds(10)
                        while ContinuousClock.now < end {}
                        await Task.yield()
                    }
                }
            }
            for _ in 0..<20 {
                let error = await #expect(throws: UnreadableImage.self) {
                    _ = try await pool.decode([])
                }
                #expect(error?.description == wanted?.description)
            }
            for other in others { other.cancel() }
        }
    }
}
