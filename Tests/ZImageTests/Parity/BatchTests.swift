// Part of Inkstone. Licence: see LICENSE.

import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// An image is the same to the bit alone, in a ragged batch, and on any number of threads.
@Suite("Batches change nothing")
struct BatchTests {
    private func inputs() -> [PipelineInput] {
        var wide = PipelineInput(prompt: "一只猫", width: 160, height: 96, steps: 5, seed: 1)
        wide.guidanceScale = 3
        return [
            PipelineInput(prompt: "a red apple", width: 128, height: 128, steps: 4, seed: 7),
            wide,
            PipelineInput(prompt: "", width: 112, height: 80, steps: 2, seed: 3),
        ]
    }

    @Test(
        "joining and leaving between steps",
        arguments: Precision.allCases, [1, 2, 3])
    func ragged(_ precision: Precision, _ threads: Int) throws {
        let item = try ReferenceCase.named("emoji-nano/apple")
        let single = try item.pipeline(precision, threads: 1)
        let alone = try inputs().map { try single.generate($0) }
        let pipeline = try item.pipeline(precision, threads: threads)
        let inputs = inputs()
        var running = [(0, try pipeline.begin(inputs[0]))]
        var waiting = [1, 2]
        var done: [Int: RGBImage] = [:]
        while !running.isEmpty {
            var batch = running.map(\.1)
            try pipeline.step(&batch)
            running = zip(running.map(\.0), batch).map { ($0, $1) }
            // A newcomer joins after every step.
            if !waiting.isEmpty {
                let next = waiting.removeFirst()
                running.append((next, try pipeline.begin(inputs[next])))
            }
            for (index, generation) in running where generation.isFinished {
                var finished = generation
                done[index] = try pipeline.finish(&finished)
            }
            running.removeAll { $0.1.isFinished }
        }
        for index in inputs.indices { #expect(done[index] == alone[index], "image \(index)") }
    }

    @Test("a value that is not finite is an error that names layer and step")
    func notFinite() throws {
        let pipeline = try ReferenceCase.named("emoji-nano/apple").pipeline(.f32)
        var bad = PipelineInput(prompt: "a cat", width: 128, height: 128, steps: 4, seed: 7)
        var noise = [Float](repeating: 0.5, count: 16 * 16 * 16)
        noise[100] = .nan
        bad.noise = noise
        var batch = [try pipeline.begin(inputs()[0]), try pipeline.begin(bad)]
        let error = #expect(throws: NumericError.self) { try pipeline.step(&batch) }
        #expect(error?.sequence == 1)
        #expect(error?.step == 1)
        #expect(error?.layer == "transformer noise_refiner.0")
    }

    @Test("previews converge to the image")
    func previews() throws {
        let pipeline = try ReferenceCase.named("emoji-nano/apple").pipeline(.f32)
        var batch = [try pipeline.begin(inputs()[0])]
        var previews: [RGBImage] = []
        while !batch[0].isFinished {
            try pipeline.step(&batch)
            previews.append(try #require(pipeline.preview(batch[0])))
        }
        let image = try pipeline.finish(&batch[0])
        let small = try image.resized(width: previews[0].width, height: previews[0].height)
        let first = try psnr(previews[0], small)
        let last = try psnr(previews[previews.count - 1], small)
        #expect(last > first)
        #expect(last > 18, "\(last) dB")
    }
}
