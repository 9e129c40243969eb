// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// What `generate --json` prints, as a client reads it.
struct Report: Decodable {
    struct Image: Decodable {
        struct Seconds: Decodable {
            let text: Double
            let steps: [Double]
            let decode: Double
            let total: Double
        }
        let output: String
        let seed: UInt64
        let sha256: String
        let seconds: Seconds
    }
    struct Seconds: Decodable {
        let load: Double
        let text: Double
        let steps: [Double]
        let decode: Double
        let total: Double
    }
    struct LoRA: Decodable {
        let name: String
        let scale: Double
        let matched: Int
        let unmatched: [String]
    }

    let version: String
    let model: String
    let prompt: String
    let promptTruncated: Bool
    let negativePrompt: String
    let width: Int
    let height: Int
    let steps: Int
    let guidanceScale: Double
    let cfgNormalization: Double
    let cfgTruncation: Double
    let strength: Double?
    let seed: UInt64
    let count: Int
    let precision: String
    let kernels: String
    let threads: Int
    let loras: [LoRA]
    let outputs: [String]
    let sha256: String
    let seconds: Seconds
    let images: [Image]
    let warnings: [String]

    /// Reads standard output, on which nothing but the object may be.
    init(
        _ result: Program.Result, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        self = try decoder.decode(Report.self, from: Data(result.output.utf8))
    }
}
