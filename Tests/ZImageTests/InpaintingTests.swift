// Part of Inkstone. Licence: see LICENSE.

import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// Masks: black is kept, white is generated as without a mask. The steps between are compared
/// with diffusers in `Tests/parity/inpaint_parity.py`.
@Suite struct InpaintingTests {
    private func input(mask: RGBImage?, strength: Double) throws -> PipelineInput {
        var input = PipelineInput(prompt: "a cat", width: 48, height: 32, steps: 3, seed: 4)
        let pixels = (0..<(48 * 32 * 3)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        input.source = try RGBImage(width: 48, height: 32, pixels: pixels)
        input.mask = mask
        input.strength = strength
        input.keepsTrace = true
        return input
    }

    private func latents(_ input: PipelineInput, _ pipeline: CPUPipeline) throws -> [Float] {
        var generations = [try pipeline.begin(input)]
        while !generations[0].isFinished { try pipeline.step(&generations) }
        return generations[0].latents.numbers
    }

    @Test("white changes nothing, black keeps the source, half does both") func masks() throws {
        let pipeline = try ReferenceCase.named("plain/\(#require(Self.run))").pipeline(.f32)
        let plain = try latents(input(mask: nil, strength: 0.7), pipeline)
        let white = try RGBImage(width: 7, height: 5, filledWith: (255, 255, 255))
        #expect(try latents(input(mask: white, strength: 0.7), pipeline) == plain)
        let black = try RGBImage(width: 48, height: 32, filledWith: (0, 0, 0))
        let kept = try latents(input(mask: black, strength: 0.7), pipeline)
        // Nothing of the noise is left, so another strength keeps the same.
        #expect(try latents(input(mask: black, strength: 1), pipeline) == kept)
        #expect(kept != plain)
        var pixels = [UInt8](repeating: 0, count: 48 * 32 * 3)
        for row in 0..<32 {
            for column in 0..<24 {
                for color in 0..<3 { pixels[(row * 48 + column) * 3 + color] = 200 }
            }
        }
        let half = try RGBImage(width: 48, height: 32, pixels: pixels)
        let mixed = try latents(input(mask: half, strength: 0.7), pipeline)
        var (changed, same) = (0, 0)
        for index in mixed.indices {
            if index % 6 < 3 {
                changed += mixed[index] != kept[index] ? 1 : 0
            } else {
                same += mixed[index] == kept[index] ? 1 : 0
            }
        }
        #expect(same == mixed.count / 2 && changed > mixed.count * 2 / 5)
    }

    @Test("a mask without a source image") func alone() throws {
        let pipeline = try ReferenceCase.named("plain/\(#require(Self.run))").pipeline(.f32)
        var input = try input(
            mask: try RGBImage(width: 8, height: 8, filledWith: (0, 0, 0)), strength: 1)
        input.source = nil
        #expect(throws: PipelineError.self) { try pipeline.begin(input) }
    }

    private static let run = ReferenceCase.all.first { $0.fixture == "plain" }?.run.name
}
