// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Tensors
import Testing
import VulkanTensors
import ZImage

/// Images of many prompts against the CPU's in f32; ten minutes and more on a software GPU.
@Suite(
    "Images of many prompts on a Vulkan device", .serialized, .needsVulkan,
    .enabled(
        if: ProcessInfo.processInfo.environment["INKSTONE_LONG_TESTS"] == "1",
        "only with INKSTONE_LONG_TESTS=1"))
struct ManyPromptsTests {
    private static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private struct Row: Decodable { let prompt: String }

    /// Prompts at equal distances in the list that the embedded model is evaluated with.
    ///
    /// INKSTONE_PROMPTS is their number, 24 by default.
    private static func prompts() throws -> [String] {
        let text = try String(
            contentsOf: root.appending(path: "Training/evaluation_prompts.jsonl"), encoding: .utf8)
        let rows = try text.split(separator: "\n").map {
            try JSONDecoder().decode(Row.self, from: Data($0.utf8)).prompt
        }
        let count = Int(ProcessInfo.processInfo.environment["INKSTONE_PROMPTS"] ?? "") ?? 24
        return (0..<count).map { rows[$0 * rows.count / count] }
    }

    private static func pipeline<Device: Backend>(on device: Device) throws -> Pipeline<Device> {
        let folder = root.appending(path: "Models/emoji-nano")
        return try Pipeline(model: try ModelDirectory(url: folder), device: device)
    }

    /// Bounds of the images in dB.
    private static let limits: [(precision: Precision, least: Double, median: Double)] = [
        (.f32, 60, 60), (.bf16, 45, 45), (.int8, 30, 40),
    ]

    @Test(
        "they are those of the CPU in f32, within the bounds of each precision",
        arguments: [(8, 0.0), (28, 5.0)])
    func images(_ run: (steps: Int, guidance: Double)) throws {
        let inputs = try Self.prompts().enumerated().map { seed, prompt in
            PipelineInput(
                prompt: prompt, width: 64, height: 64, steps: run.steps,
                guidanceScale: run.guidance, seed: UInt64(seed))
        }
        let cpu = try Self.pipeline(on: CPUBackend(precision: .f32, threads: 2))
        let want = try inputs.map { try cpu.generate($0) }
        for (precision, least, median) in Self.limits {
            let device = try Self.pipeline(on: TestDevice.backend(precision: precision))
            let start = ContinuousClock.now
            let decibels = try zip(inputs, want).map { input, want in
                try psnr(try device.generate(input), want)
            }.sorted()
            let (lowest, middle) = (decibels[0], decibels[decibels.count / 2])
            print(
                "\(precision), \(inputs.count) prompts, \(run.steps) steps, guidance \(run.guidance):"
                    + " least \(lowest) dB, median \(middle) dB, \(ContinuousClock.now - start)")
            #expect(lowest >= least, "\(precision)")
            #expect(middle >= median, "\(precision)")
        }
    }
}
