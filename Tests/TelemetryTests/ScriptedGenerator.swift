// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import Parameters
import Synchronization

/// A generator whose events are scripted by a test.
final class ScriptedGenerator: ImageGenerating {
    let model: ModelDescription
    private let open = Mutex<[JobEventStream.Feed]>([])

    init() throws {
        let text = """
            {"id": "tiny", "name": "Tiny", "summary": {}, "license": "-", "parameterCount": 1000,
             "precision": "f32", "kernels": "portable", "loadedAt": 0,
             "defaults": {"size": {"width": 32, "height": 16}, "steps": 4, "guidanceScale": 0,
              "negativePrompt": ""},
             "limits": {"maximumWidth": 64, "maximumHeight": 64, "maximumSteps": 20,
              "maximumCount": 4, "maximumPromptLength": 500, "sizeMultiple": 16},
             "sizes": [], "presets": [], "examples": {}}
            """
        model = try JSONDecoder().decode(ModelDescription.self, from: Data(text.utf8))
    }

    func events(for request: ImageRequest, model: String) -> JobEventStream {
        let (stream, feed) = JobEventStream.makeStream()
        open.withLock { $0.append(feed) }
        return stream
    }

    /// The stream of the request that came as number `index`.
    subscript(index: Int) -> JobEventStream.Feed { open.withLock { $0[index] } }

    func request(steps: Int = 4, count: Int = 1, guidance: Double = 0) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: "p")
        (draft.steps, draft.count, draft.guidanceScale) = (steps, count, guidance)
        return try ImageRequest(draft, for: model)
    }

    /// A finished image of 32x16 pixels that took a second.
    func picture(steps: Int = 4) throws -> GeneratedImage {
        GeneratedImage(
            index: 0, seed: 1,
            image: try RGBImage(width: 32, height: 16, filledWith: (0, 0, 0)), pixelDigest: "",
            promptTruncated: false,
            seconds: Timings(
                text: 0.25, steps: Array(repeating: 0.125, count: steps), decode: 0.25, total: 1))
    }
}
