// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Tensors
import Testing
import VulkanTensors
import ZImage

/// Weights of a Vulkan device that are stored on disk.
@Suite("Packed weights of a Vulkan device", .serialized, .needsVulkan)
struct PackedWeightTests {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/emoji-nano")
    private static let input = PipelineInput(
        prompt: "a red apple", width: 64, height: 64, steps: 2, guidanceScale: 2, seed: 3)

    private static func pipeline(
        _ device: VulkanBackend, _ cache: WeightCache?
    ) throws -> Pipeline<VulkanBackend> {
        try Pipeline(
            model: try ModelDirectory(url: folder), device: device, promptCache: nil,
            weightCache: cache)
    }

    @Test(
        "an image has the same bytes at the first start, at the next, without a cache, and with weights on the host",
        arguments: [Precision.f32, .bf16, .int8])
    func bytes(_ precision: Precision) throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-cache-\(UInt64.random(in: 0 ... .max))")
        defer { try? FileManager.default.removeItem(at: folder) }
        let cache = WeightCache(folder: folder, minimum: 0)
        func origins(_ pipeline: Pipeline<VulkanBackend>) -> Set<WeightOrigin> {
            Set(pipeline.weightOrigins.values)
        }
        let expected = try Self.pipeline(TestDevice.backend(precision: precision), nil)
            .generate(Self.input)
        let first = try Self.pipeline(TestDevice.backend(precision: precision), cache)
        #expect(origins(first) == [.newCache])
        #expect(try first.generate(Self.input) == expected)
        let device = try TestDevice.backend(precision: precision)
        let second = try Self.pipeline(device, cache)
        #expect(origins(second) == [.cache])
        #expect(try second.generate(Self.input) == expected)
        // Files of the processor are not those of the device.
        let cpu = try CPUBackend(precision: precision, threads: 2)
        #expect(cpu.packedForm != device.packedForm)

        guard precision != .bf16 else { return }
        let limit = precision == .f32 ? 128 << 20 : 64 << 20
        let small = try TestDevice.backend(precision: precision, memoryLimit: limit)
        let taken = try (precision == .f32 ? [60, 25] : [45]).map {
            try small.device.makeBuffer(bytes: $0 << 20)
        }
        let streamed = try Self.pipeline(small, cache)
        #expect(origins(streamed) == [.cache] && streamed.residency.blocksOnHost > 0)
        #expect(try streamed.generate(Self.input) == expected)
        #expect(small.device.recorder.statistics.streamedBytes > 0)
        withExtendedLifetime(taken) {}
    }

    @Test("stored weights whose sizes disagree are refused")
    func refused() throws {
        let device = try TestDevice.backend(precision: .int8)
        let weights = device.makeWeights(
            MatrixSource(
                [StoredRows(OperationTests.numbers(40 * 70, seed: 1), rows: 40, depth: 70)],
                bias: OperationTests.numbers(40, seed: 2)), precision: .int8)
        let packed = try #require(device.packed(weights))
        #expect(device.makeWeights(packed, placement: .device) != nil)
        let changes: [(String, Int)] = [
            ("rows", 41), ("rows", 0), ("rows", -40), ("depth", 40_000), ("depth", 97),
            ("taps", 2), ("taps", 65), ("bytes", 3), ("bytes", 4), ("gated", 1),
        ]
        for (name, value) in changes {
            var numbers = packed.numbers
            numbers[name] = value
            let other = PackedMatrix(numbers: numbers, blobs: packed.blobs, owner: packed.owner)
            #expect(device.makeWeights(other, placement: .device) == nil, "\(name) \(value)")
        }
        for name in ["rows", "scales"] {
            var blobs = packed.blobs
            blobs[name] = nil
            let other = PackedMatrix(numbers: packed.numbers, blobs: blobs, owner: packed.owner)
            #expect(device.makeWeights(other, placement: .device) == nil, "without \(name)")
        }
    }
}
