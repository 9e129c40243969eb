// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Tensors
import ZImage

/// What `inkstone generate --json` prints.
struct GenerateReport {
    private struct Body: Encodable {
        struct Image: Encodable {
            let output: String
            let seed: UInt64
            let sha256: String
            let seconds: Seconds
        }
        struct Seconds: Encodable {
            let load: Double
            let text: Double
            let steps: [Double]
            let decode: Double
            let total: Double
        }
        struct LoRA: Encodable {
            let name: String
            let scale: Double
            let matched: Int
            let unmatched: [String]
        }

        let version: String
        let model: String
        let prompt: String
        let negativePrompt: String
        let width: Int
        let height: Int
        let steps: Int
        let guidanceScale: Double
        let seed: UInt64
        let precision: String
        let kernels: String
        let threads: Int
        let promptTruncated: Bool
        let loras: [LoRA]
        let outputs: [String]
        let sha256: String
        let seconds: Seconds
        let images: [Image]
    }

    private let body: Body

    init(
        request: ImageRequest, images: [GeneratedImage], outputs: [String],
        pipeline: Pipeline<CPUBackend>, description: ModelDescription, loadSeconds: Double
    ) {
        func seconds(_ timings: Timings?) -> Body.Seconds {
            Body.Seconds(
                load: loadSeconds, text: timings?.text ?? 0, steps: timings?.steps ?? [],
                decode: timings?.decode ?? 0, total: timings?.total ?? 0)
        }
        body = Body(
            version: version, model: description.id, prompt: request.prompt,
            negativePrompt: request.negativePrompt, width: request.size.width,
            height: request.size.height, steps: request.steps,
            guidanceScale: request.guidanceScale, seed: request.seed,
            precision: description.precision, kernels: description.kernels,
            threads: pipeline.device.threads,
            promptTruncated: images.contains { $0.promptTruncated },
            loras: pipeline.loraReports.map {
                Body.LoRA(
                    name: $0.name, scale: $0.scale, matched: $0.matched, unmatched: $0.unmatched)
            },
            outputs: outputs, sha256: images.first?.pixelDigest ?? "",
            seconds: seconds(images.first?.seconds),
            images: zip(images, outputs).map { image, output in
                Body.Image(
                    output: output, seed: image.seed, sha256: image.pixelDigest,
                    seconds: seconds(image.seconds))
            })
    }

    /// One object, keys sorted.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return String(decoding: try encoder.encode(body), as: UTF8.self)
    }

    /// Says on standard error what the person should know about the result.
    func warn(quiet: Bool) {
        guard !quiet else { return }
        if body.promptTruncated {
            note("the prompt is longer than the model reads; its end was cut off.")
        }
        for lora in body.loras where !lora.unmatched.isEmpty {
            note(
                "LoRA \(lora.name): \(lora.matched) layers changed, \(lora.unmatched.count) keys"
                    + " belong to no layer, such as '\(lora.unmatched[0])'.")
        }
    }

    private func note(_ text: String) {
        FileHandle.standardError.write(Data("inkstone: \(text)\n".utf8))
    }
}
