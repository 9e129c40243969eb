// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ZImage

/// Generates an image from a prompt and writes it to `first.png`; run it from the root of a checkout.
@main
struct FirstPicture {
    static func main() throws {
        let pipeline = try CPUPipeline(modelAt: URL(filePath: "Models/emoji-nano"))
        let prompt = CommandLine.arguments.dropFirst().first ?? "蓝色背景上的红苹果"
        let input = PipelineInput(prompt: prompt, width: 128, height: 128, steps: 8, seed: 7)
        let image = try pipeline.generate(input)
        try ImageFile.writeAtomically(ImageEncoder.encode(image, as: .png()), to: "first.png")
    }
}
