// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import Testing
import ZImage

/// One run of the reference on a small checkpoint, with the tensors it left behind.
struct ReferenceCase: Sendable, CustomTestStringConvertible {
    struct Run: Sendable, Decodable {
        let name: String
        let prompt: String
        let negativePrompt: String
        let width: Int
        let height: Int
        let steps: Int
        let guidanceScale: Double
        let cfgNormalization: Double
        let cfgTruncation: Double
        let seed: Int64
        let strength: Double?
    }

    private struct File: Decodable {
        let checkpoint: String
        let runs: [Run]
    }

    let fixture: String
    let checkpoint: URL
    let run: Run
    var testDescription: String { "\(fixture)/\(run.name)" }

    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/parity")

    /// Every run of every fixture.
    static let all: [ReferenceCase] = {
        let names =
            (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return names.sorted().flatMap { name -> [ReferenceCase] in
            let own = folder.appending(path: name)
            guard let data = try? Data(contentsOf: own.appending(path: "case.json")),
                let file = try? decoder.decode(File.self, from: data)
            else { return [] }
            let checkpoint = own.appending(path: file.checkpoint).standardizedFileURL
            return file.runs.map {
                ReferenceCase(fixture: name, checkpoint: checkpoint, run: $0)
            }
        }
    }()

    static func named(_ description: String) throws -> ReferenceCase {
        try #require(all.first { $0.testDescription == description })
    }

    /// The reference's tensors; keys begin with the run's name.
    func goldens() throws -> Goldens {
        Goldens(
            file: try SafetensorsFile(
                url: Self.folder.appending(path: "\(fixture)/goldens.safetensors")),
            prefix: run.name + ".")
    }

    func pipeline(
        _ precision: Precision, threads: Int = 2, kernels: String? = nil
    ) throws -> Pipeline<CPUBackend> {
        try Pipeline(
            model: try ModelDirectory(url: checkpoint),
            device: try CPUBackend(precision: precision, threads: threads, kernels: kernels))
    }

    func input(_ goldens: Goldens) throws -> PipelineInput {
        var input = PipelineInput(
            prompt: run.prompt, width: run.width, height: run.height, steps: run.steps,
            guidanceScale: run.guidanceScale, seed: UInt64(bitPattern: run.seed))
        input.negativePrompt = run.negativePrompt
        input.cfgNormalization = run.cfgNormalization
        input.cfgTruncation = run.cfgTruncation
        input.keepsTrace = true
        if let strength = run.strength {
            let image = try #require(goldens["image"])
            input.source = try RGBImage(
                width: image.shape[1], height: image.shape[0], pixels: Array(image.bytes))
            input.strength = strength
        }
        return input
    }
}

/// Tensors of one run.
struct Goldens {
    let file: SafetensorsFile
    let prefix: String

    subscript(name: String) -> StoredTensor? { file.tensor(named: prefix + name) }

    /// Names without the run's prefix.
    var names: [String] {
        file.tensors.keys.filter { $0.hasPrefix(prefix) }.map {
            String($0.dropFirst(prefix.count))
        }
    }

    func floats(_ name: String) throws -> [Float] {
        try #require(self[name], "golden \(name)").floats()
    }
}

/// Largest difference as a share of the reference's largest magnitude.
func relativeError(_ got: [Float], _ want: [Float]) -> Float {
    guard got.count == want.count else { return .infinity }
    let scale = max(want.map(abs).max() ?? 0, 1e-6)
    var worst: Float = 0
    for (a, b) in zip(got, want) {
        let difference = abs(a - b)
        if !(difference <= worst) { worst = difference }
    }
    return worst.isNaN ? .infinity : worst / scale
}

/// The error of a stage in a smaller precision: in bf16 that of the worst element, in int8, where a
/// number is rounded to 127 steps of the largest in its row, the length of the whole difference as
/// a share of the reference's length.
func stageError(_ got: [Float], _ want: [Float], _ precision: Precision) -> Float {
    guard precision == .int8 else { return relativeError(got, want) }
    guard got.count == want.count else { return .infinity }
    let noise = zip(got, want).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    let signal = want.reduce(0) { $0 + Double($1) * Double($1) }
    let share = Float((noise / max(signal, 1e-12)).squareRoot())
    return share.isNaN ? .infinity : share
}
