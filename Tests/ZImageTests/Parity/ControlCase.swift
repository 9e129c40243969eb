// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Tensors
import Testing
import ZImage

/// Runs of the reference with ControlNets on a small checkpoint; see `make_control_fixtures.py`.
struct ControlCase: Sendable, CustomTestStringConvertible {
    struct Run: Sendable, Decodable {
        let name: String
        let nets: [String]
        let guidanceScale: Double
        let strength: Double
        let start: Double
        let end: Double
        let inpaint: Bool
    }

    private struct File: Decodable {
        let prompt: String
        let width: Int
        let height: Int
        let steps: Int
        let seed: UInt64
        let runs: [Run]
    }

    let run: Run
    private let file: File
    var testDescription: String { run.name }

    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/control")

    static let all: [ControlCase] = {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let data = try? Data(contentsOf: folder.appending(path: "case.json")),
            let file = try? decoder.decode(File.self, from: data)
        else { return [] }
        return file.runs.map { ControlCase(run: $0, file: file) }
    }()

    static func named(_ name: String) throws -> ControlCase {
        try #require(all.first { $0.run.name == name })
    }

    static func goldens() throws -> SafetensorsFile {
        try SafetensorsFile(url: folder.appending(path: "goldens.safetensors"))
    }

    /// The file or the folder of a net.
    static func net(_ version: String) -> URL {
        folder.appending(path: version == "2.1" ? "net-2.1" : "net-\(version).safetensors")
    }

    static func model() throws -> ModelDirectory {
        try ModelDirectory(url: folder.appending(path: "base"))
    }

    static func pipeline(
        _ precision: Precision, threads: Int = 2
    ) throws -> Pipeline<CPUBackend> {
        try Pipeline(
            model: try model(), device: try CPUBackend(precision: precision, threads: threads))
    }

    static func image(_ name: String) throws -> RGBImage {
        let tensor = try #require(try goldens().tensor(named: name))
        let pixels =
            tensor.shape.count == 3
            ? Array(tensor.bytes) : tensor.bytes.flatMap { [UInt8](repeating: $0, count: 3) }
        return try RGBImage(width: tensor.shape[1], height: tensor.shape[0], pixels: pixels)
    }

    /// The input of the run.
    func input() throws -> PipelineInput {
        var input = PipelineInput(
            prompt: file.prompt, width: file.width, height: file.height, steps: file.steps,
            guidanceScale: run.guidanceScale, seed: file.seed)
        input.keepsTrace = true
        input.controls = try run.nets.map { net in
            ControlSource(
                url: Self.net(net), image: try Self.image("control"),
                repaint: run.inpaint
                    ? .init(image: try Self.image("image"), mask: try Self.image("mask")) : nil,
                strength: run.strength, start: run.start, end: run.end)
        }
        return input
    }
}
