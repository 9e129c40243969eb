// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import VulkanTensors
import ZImage

/// Whole images of the embedded model on a Vulkan device.
@Suite("The embedded model on a Vulkan device", .serialized, .needsVulkan)
struct EmbeddedModelTests {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")

    private static func pipeline<Device: Backend>(on device: Device) throws -> Pipeline<Device> {
        try Pipeline(model: try ModelDirectory(url: folder), device: device, promptCache: nil)
    }

    /// Requests of different sizes, steps and guidance.
    private static let inputs = [
        input("a red apple on a blue background", width: 128, height: 128, steps: 4, seed: 1),
        input("蓝色背景上的一只熊猫", width: 96, height: 160, steps: 3, seed: 2),
        input("two cats", width: 64, height: 64, steps: 5, seed: 3, guidance: 3),
        input("a house", width: 160, height: 96, steps: 3, seed: 4),
    ]

    private static func input(
        _ prompt: String, width: Int, height: Int, steps: Int, seed: UInt64, guidance: Double = 0
    ) -> PipelineInput {
        PipelineInput(
            prompt: prompt, width: width, height: height, steps: steps, guidanceScale: guidance,
            seed: seed)
    }

    /// Least PSNR in dB of an image in a precision against the CPU's in f32.
    private static let limits: [(precision: Precision, decibels: Double)] = [
        (.f32, 60), (.bf16, 45), (.int8, 30),
    ]

    @Test("images are those of the CPU in f32, within the bounds of each precision")
    func pictures() throws {
        let cpu = try Self.pipeline(on: CPUBackend(precision: .f32, threads: 2))
        let want = try Self.inputs.map { try cpu.generate($0) }
        for (precision, least) in Self.limits {
            let device = try Self.pipeline(on: TestDevice.backend(precision: precision))
            for (input, want) in zip(Self.inputs, want) {
                let decibels = try psnr(try device.generate(input), want)
                #expect(decibels >= least, "\(input.prompt) in \(precision): \(decibels) dB")
            }
        }
    }

    @Test("a lost device ends the request with the reason, and stays lost")
    func lostDevice() throws {
        let device = try TestDevice.backend()
        let pipeline = try Self.pipeline(on: device)
        device.device.recorder.fail(VulkanError(.deviceLost, "the device was lost"))
        for _ in 0..<2 {
            let error = #expect(throws: VulkanError.self) {
                try pipeline.generate(Self.inputs[2])
            }
            #expect(error?.code == .deviceLost)
            #expect(device.failure?.isLost == true)
        }
    }

    @Test("without memory for the weights loading ends with a sentence")
    func noMemory() throws {
        let device = try TestDevice.backend(memoryLimit: 64 << 20)
        let taken = try device.device.makeBuffer(bytes: 63 << 20)
        let error = #expect(throws: MemoryError.self) { try Self.pipeline(on: device) }
        withExtendedLifetime(taken) {}
        #expect(error?.place == "the device's memory")
    }

    @Test("memory that is taken while the weights are loaded ends loading with a sentence")
    func memoryGone() throws {
        let device = try TestDevice.backend(memoryLimit: 256 << 20)
        var taken: [DeviceBuffer] = []
        var blocks = 0
        let error = #expect(throws: VulkanError.self) {
            try Pipeline(
                model: try ModelDirectory(url: Self.folder), device: device, promptCache: nil
            ) { _ in
                blocks += 1
                while let buffer = try? device.device.makeBuffer(bytes: 1 << 20) {
                    taken.append(buffer)
                }
            }
        }
        // What comes after the first failure is not read.
        #expect(!taken.isEmpty && blocks <= 2 && error?.isOutOfMemory == true)
        #expect(device.failure?.isLost == false)
    }

    @Test(
        "with too little memory weights stay on the host, and images have the same bytes",
        arguments: [Precision.f32, .int8])
    func residency(_ precision: Precision) throws {
        let want = try Self.pipeline(on: TestDevice.backend(precision: precision))
        // What is left of the limit is less than the model, of which f32 has 56 MB and int8 22.
        let limit = precision == .f32 ? 128 << 20 : 64 << 20
        let device = try TestDevice.backend(precision: precision, memoryLimit: limit)
        let taken = try (precision == .f32 ? [60, 25] : [45]).map {
            try device.device.makeBuffer(bytes: $0 << 20)
        }
        let pipeline = try Self.pipeline(on: device)
        #expect(pipeline.residency.textLayersOnHost > 0 && pipeline.residency.blocksOnHost > 0)
        for input in Self.inputs.prefix(2) {
            #expect(try pipeline.generate(input).pixels == want.generate(input).pixels)
        }
        #expect(device.device.pinnedBytes > 0 && device.device.memoryBytes.allocated <= limit)
        #expect(device.device.recorder.statistics.streamedBytes > 0)
        withExtendedLifetime(taken) {}
    }

    @Test(
        "an image has the same bytes alone and in a batch of mixed requests",
        arguments: [Precision.f32, .int8])
    func batches(_ precision: Precision) throws {
        let pipeline = try Self.pipeline(on: TestDevice.backend(precision: precision))
        let alone = try Self.inputs.map { try pipeline.generate($0).pixels }
        var generations = try Self.inputs.map { try pipeline.begin($0) }
        var images: [[UInt8]?] = Array(repeating: nil, count: generations.count)
        while images.contains(nil) {
            let open = generations.indices.filter { !generations[$0].isFinished }
            var batch = open.map { generations[$0] }
            if !batch.isEmpty { try pipeline.step(&batch) }
            for (index, generation) in zip(open, batch) { generations[index] = generation }
            for index in generations.indices
            where generations[index].isFinished && images[index] == nil {
                images[index] = try pipeline.finish(&generations[index]).pixels
            }
        }
        for (got, want) in zip(images, alone) { #expect(got == want) }
    }
}
