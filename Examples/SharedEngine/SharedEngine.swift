// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Parameters
import ZImage

/// Generates an image of each prompt it is given, all at once; run it from the root of a checkout.
@main
struct SharedEngine {
    static func main() async throws {
        let pipeline = try CPUPipeline(modelAt: URL(filePath: "Models/emoji-nano"))
        let engine = InferenceEngine(pipeline: pipeline)
        let arguments = Array(CommandLine.arguments.dropFirst())
        let prompts = arguments.isEmpty ? ["a red apple", "黄色背景上的熊猫"] : arguments
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, prompt) in prompts.enumerated() {
                group.addTask {
                    try await generate(prompt, to: "image-\(number + 1).png", on: engine)
                }
            }
            try await group.waitForAll()
        }
    }

    /// Runs one request and writes its image.
    private static func generate(
        _ prompt: String, to path: String, on engine: CPUEngine
    ) async throws {
        var draft = ImageRequest.Draft(prompt: prompt)
        draft.parameters.seed = 7
        let request = try ImageRequest(draft, for: engine.description)
        for try await event in engine.events(for: request, model: engine.description.id) {
            switch event {
            case .step(_, let step, let steps, _): print("\(path): step \(step) of \(steps)")
            case .image(let image):
                let file = try image.file(of: request, model: engine.description)
                try ImageFile.writeAtomically(file, to: path)
                print("\(path): seed \(image.seed), SHA-256 of its pixels \(image.pixelDigest)")
            case .queued, .started, .preview: break
            }
        }
    }
}
