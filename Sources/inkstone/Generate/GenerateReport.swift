// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Parameters
import Tensors
import ZImage

/// The output of `inkstone generate`: JSON or lines of text, and warnings.
struct GenerateReport {
    private struct Body: Encodable {
        struct Image: Encodable {
            let output: String
            let seed: UInt64
            let sha256: String
            let seconds: Timings
        }
        /// Seconds of the whole run; `total` begins when the model is loaded.
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
            let textScale: Double?
            let factors: [Double]?
            let matched: Int
            let unmatched: [String]
            let unused: [String]
        }

        let version: String
        let model: String
        let parameters: SamplingParameters
        let promptTruncated: Bool
        let count: Int
        let precision: String
        /// Who chose the precision, and why.
        let precisionReason: String
        let kernels: String
        let threads: Int
        let loras: [LoRA]
        let outputs: [String]
        let sha256: String
        let seconds: Seconds
        let images: [Image]
        let warnings: [String]

        private enum CodingKeys: CodingKey {
            case version, model, promptTruncated, width, height, count, precision, kernels, threads
            case precisionReason, loras, outputs, sha256, seconds, images, warnings
        }

        func encode(to encoder: any Encoder) throws {
            // Every parameter; the report's own `loras`, with more about each, replace theirs.
            var parameters = parameters
            for index in parameters.controls.indices {
                // Files would be longer than everything else.
                parameters.controls[index].map = nil
                parameters.controls[index].source = nil
                parameters.controls[index].mask = nil
            }
            try parameters.encodeValues(to: encoder)
            var fields = encoder.container(keyedBy: CodingKeys.self)
            try fields.encode(version, forKey: .version)
            try fields.encode(model, forKey: .model)
            try fields.encode(promptTruncated, forKey: .promptTruncated)
            try fields.encode(parameters.size.width, forKey: .width)
            try fields.encode(parameters.size.height, forKey: .height)
            try fields.encode(count, forKey: .count)
            try fields.encode(precision, forKey: .precision)
            try fields.encode(precisionReason, forKey: .precisionReason)
            try fields.encode(kernels, forKey: .kernels)
            try fields.encode(threads, forKey: .threads)
            try fields.encode(loras, forKey: .loras)
            try fields.encode(outputs, forKey: .outputs)
            try fields.encode(sha256, forKey: .sha256)
            try fields.encode(seconds, forKey: .seconds)
            try fields.encode(images, forKey: .images)
            try fields.encode(warnings, forKey: .warnings)
        }
    }

    private let body: Body

    /// Warnings about the result, a sentence each.
    var warnings: [String] { body.warnings }

    /// A line for each file.
    var lines: [String] {
        body.images.map {
            "\($0.output)  seed \($0.seed)  \(ProgressLine.text($0.seconds.total))"
        }
    }

    init(
        request: ImageRequest, images: [GeneratedImage], outputs: [String],
        engine: any LocalEngine, precisionReason: String, loadSeconds: Double,
        totalSeconds: Double, warnings: [String], reports: [LoRAReport] = []
    ) {
        let isTruncated = images.contains { $0.promptTruncated }
        let loras = engine.loraReports + reports
        body = Body(
            version: version, model: engine.description.id, parameters: request.parameters,
            promptTruncated: isTruncated, count: request.count,
            precision: engine.description.precision,
            precisionReason: precisionReason, kernels: engine.description.kernels,
            threads: engine.threads,
            loras: loras.map {
                Body.LoRA(
                    name: $0.name, scale: $0.scale, textScale: $0.textScale, factors: $0.factors,
                    matched: $0.matched, unmatched: $0.unmatched,
                    unused: $0.unused)
            },
            outputs: outputs, sha256: images.first?.pixelDigest ?? "",
            seconds: Self.sum(images.map(\.seconds), load: loadSeconds, total: totalSeconds),
            images: zip(images, outputs).map { image, output in
                Body.Image(
                    output: output, seed: image.seed, sha256: image.pixelDigest,
                    seconds: image.seconds)
            },
            warnings: warnings
                + (isTruncated
                    ? ["The prompt exceeds the model's token limit and was truncated."] : [])
                + loras.compactMap(\.warning))
    }

    /// The images' shares of each step add up to its duration.
    private static func sum(_ timings: [Timings], load: Double, total: Double) -> Body.Seconds {
        let steps = timings.map(\.steps.count).max() ?? 0
        return Body.Seconds(
            load: load, text: timings.map(\.text).reduce(0, +),
            steps: (0..<steps).map { step in
                timings.reduce(0) { $0 + ($1.steps.count > step ? $1.steps[step] : 0) }
            },
            decode: timings.map(\.decode).reduce(0, +), total: total)
    }

    /// One object, keys sorted.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return String(decoding: try encoder.encode(body), as: UTF8.self)
    }
}
