// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing
import VulkanTensors
import ZImage

/// Parts of a model of Z-Image-Turbo's sizes, with random weights; minutes on a software GPU.
@Suite(
    "Parts of real size on a Vulkan device", .serialized, .needsVulkan,
    .enabled(
        if: ProcessInfo.processInfo.environment["INKSTONE_LONG_TESTS"] == "1",
        "only with INKSTONE_LONG_TESTS=1"))
struct RealSizeTests {
    private static func model() throws -> ModelDirectory {
        try RandomModel.zImageTurbo.directory(tokenizerOf: URL(filePath: "/"))
    }

    /// Returns the root mean square of the difference relative to that of the expected numbers.
    private static func error(_ got: [Float], _ want: [Float]) -> Double {
        var (difference, square) = (0.0, 0.0)
        for (x, y) in zip(got, want) {
            difference += Double(x - y) * Double(x - y)
            square += Double(y) * Double(y)
        }
        return (difference / square).squareRoot()
    }

    @Test("a block of 1088 tokens is the CPU's", arguments: [Precision.int8, .bf16])
    func block(_ precision: Precision) throws {
        let model = try Self.model()
        // Attention of kernels without bf16 instructions is f32, which f16 with scales is nearer to.
        let kernels = CPUBackend.availableKernels.first { !$0.contains("bf16") }
        let cpu = try TimedBlock(
            "layers.0", of: model,
            device: CPUBackend(precision: precision, threads: 2, kernels: kernels), tokens: 1088)
        try cpu.run()
        let device = try TestDevice.backend(precision: precision)
        let block = try TimedBlock("layers.0", of: model, device: device, tokens: 1088)
        try block.run()
        let got = block.values
        if let failure = device.failure { throw failure }
        let error = Self.error(got, cpu.values)
        #expect(error <= 1e-2)
    }

    @Test("a device with memory for a half of the blocks makes the same latents at 256x256")
    func streamed() throws {
        // All 34 blocks at 256x256 take half an hour of a software GPU. On a card of 8 GB the text encoder and 13 of 30
        // blocks stay on the host; here the text encoder and 2 of 4.
        let model = try RandomModel.zImageTurbo.directory(
            tokenizerOf: EmbeddedModelTests.folder, blocks: 4, textLayers: 3)
        let plan = try MemoryPlan(model: model, precision: .int8)
        let limits = stride(from: 10_000_000_000, to: 1_000_000_000, by: -50_000_000)
        let limit = try #require(
            limits.first { limit in
                (try? plan.residency(device: limit, host: .max))?.blocksOnHost == 2
            })
        let input = PipelineInput(
            prompt: "a house", width: 256, height: 256, steps: 1, guidanceScale: 0, seed: 5)
        func latents(_ limit: Int?) throws -> (numbers: [Float], backend: VulkanBackend) {
            let backend = try TestDevice.backend(precision: .int8, memoryLimit: limit)
            let pipeline = try Pipeline(model: model, device: backend, promptCache: nil)
            #expect(pipeline.residency.blocksOnHost == (limit == nil ? 0 : 2))
            #expect(pipeline.residency.textLayersOnHost == (limit == nil ? 0 : 2))
            var generations = [try pipeline.begin(input)]
            try pipeline.step(&generations)
            if let failure = backend.failure { throw failure }
            return (generations[0].latents.numbers, backend)
        }
        let (want, _) = try latents(nil)
        let (got, backend) = try latents(limit)
        #expect(got == want && want.contains { $0 != 0 } && want.allSatisfy(\.isFinite))
        let device = backend.device
        #expect(device.memoryBytes.allocated <= limit)
        // Each matrix once, and the modulations of two blocks.
        #expect(
            device.recorder.statistics.streamedBytes > plan.bytesOnHost(
                try plan.residency(device: limit, host: .max)) * 9 / 10)
    }

    @Test("the decoder at 256x256 is the CPU's")
    func decoder() throws {
        let model = try Self.model()
        let config = model.autoencoderConfig
        var generator = TorchGenerator(seed: 1)
        let latents = Planes(
            generator.normals(config.latentChannels * 32 * 32), channels: config.latentChannels,
            height: 32, width: 32)
        func decode<Device: Backend>(_ device: Device) throws -> [Float] {
            try Autoencoder(config: config, store: try model.autoencoderStore(), device: device)
                .decode(latents).numbers
        }
        let want = try decode(CPUBackend(precision: .f32, threads: 2))
        let device = try TestDevice.backend(precision: .bf16)
        let got = try decode(device)
        if let failure = device.failure { throw failure }
        #expect(Self.error(got, want) <= 1e-2)
    }
}
