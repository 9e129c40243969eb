// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Tensors
import Testing

/// `verify`: a whole model passes, and each planted fault is found and named.
@Suite struct VerifyTests {
    private static let small = [
        "--size", "64x64", "--steps", "1", "--precision", "f32", "--device", "cpu",
        "--no-reference",
    ]

    /// What the tests read of the report's JSON.
    private struct Report: Decodable {
        struct Fault: Decodable {
            let area: String
            let subject: String
            let text: String
        }
        struct Run: Decodable {
            struct Image: Decodable {
                struct Reference: Decodable {
                    let errors: [String: Double]
                    let psnr: Double?
                }
                let prompt: Int
                let seed: UInt64
                let sha256: String
                let peakBytes: Int
                let reference: Reference?
            }
            let device: String
            let precision: String
            let isBatchInvariant: Bool?
            let images: [Image]
        }
        struct Files: Decodable {
            struct Compared: Decodable { let state: String }
            let repository: String?
            let compared: [Compared]
        }
        let prompts: [String]
        let files: Files
        let runs: [Run]
        let notes: [String]
        let faults: [Fault]

        init(_ text: String) throws {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            self = try decoder.decode(Report.self, from: Data(text.utf8))
        }
    }

    /// A copy of the embedded model, with the list of its files as a pull stores it.
    private final class Model {
        let folder: TemporaryFolder
        var url: URL { folder.url.appending(path: "model") }

        init(withList: Bool) throws {
            folder = try TemporaryFolder()
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            var files: [[String: Any]] = []
            for path in try FileManager.default.subpathsOfDirectory(atPath: Program.model.path) {
                let parts = path.split(separator: "/")
                guard !["loras", "cache"].contains(parts[0]) else { continue }
                let source = Program.model.appending(path: path)
                let target = url.appending(path: path)
                guard let data = try? Data(contentsOf: source) else {
                    try FileManager.default.createDirectory(
                        at: target, withIntermediateDirectories: true)
                    continue
                }
                try data.write(to: target)
                files.append([
                    "path": path, "size": data.count,
                    "digest": ["sha256": ["_0": try Model.digest(of: target)]],
                ])
            }
            guard withList else { return }
            let record: [String: Any] = [
                "hub": "https://hub.example", "repository": "owner/model", "revision": "main",
                "commit": "c0ffee", "files": files,
            ]
            try JSONSerialization.data(withJSONObject: record).write(
                to: url.appending(path: ".inkstone-pull.json"))
        }

        private static func digest(of file: URL) throws -> String {
            let process = Process()
            let pipe = Pipe()
            process.executableURL = URL(filePath: "/usr/bin/sha256sum")
            process.arguments = [file.path]
            process.standardOutput = pipe
            try process.run()
            let output = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return String(String(decoding: output, as: UTF8.self).prefix(64))
        }

        func change(_ path: String, _ body: (inout Data) throws -> Void) throws {
            let file = url.appending(path: path)
            var data = try Data(contentsOf: file)
            try body(&data)
            try data.write(to: file)
        }

        /// Overwrites the numbers of a tensor in a safetensors file.
        func fill(_ tensor: String, of path: String, with bytes: [UInt8]) throws {
            try change(path) { data in
                let length = data.prefix(8).enumerated().reduce(0) {
                    $0 | Int($1.element) << (8 * $1.offset)
                }
                let header = try #require(
                    try JSONSerialization.jsonObject(with: data[8..<(8 + length)])
                        as? [String: Any])
                let entry = try #require(header[tensor] as? [String: Any])
                let offsets = try #require(entry["data_offsets"] as? [Int])
                for offset in offsets[0]..<offsets[1] {
                    data[8 + length + offset] = bytes[(offset - offsets[0]) % bytes.count]
                }
            }
        }

        func verify(_ options: [String]) async throws -> (result: Program.Result, report: Report) {
            let result = try await Program.run(
                ["verify", url.path, "--json"] + options, in: folder)
            return (result, try Report(result.output))
        }
    }

    @Test("a whole model passes, and the report says nothing about the machine's owner")
    func whole() async throws {
        let model = try Model(withList: true)
        let (result, report) = try await model.verify([
            "--size", "64x64", "--steps", "1", "--device", "cpu", "--device", "cpu",
            "--no-reference",
        ])
        #expect(result.status == 0, "\(result.errors)")
        #expect(report.faults.isEmpty)
        #expect(report.runs.map(\.device) == ["cpu", "cpu", "cpu"])
        #expect(report.files.repository == "owner/model")
        #expect(report.files.compared.count > 10)
        #expect(report.files.compared.allSatisfy { $0.state == "intact" })
        #expect(Set(report.runs.map(\.precision)) == ["f32", "bf16", "int8"])
        for run in report.runs {
            #expect(run.images.map(\.prompt) == [1, 2, 3, 4])
            #expect(Set(run.images.map(\.sha256)).count == 4)
            #expect(run.images.allSatisfy { $0.peakBytes > 10_000_000 })
            #expect(run.isBatchInvariant == true)
        }
        let document = try String(
            contentsOf: model.folder.url.appending(path: "inkstone-verify.md"), encoding: .utf8)
        #expect(document.contains("No fault was found."))
        for secret in [model.folder.url.path, "/tmp", NSUserName() + "@"] {
            #expect(!document.contains(secret), "\(secret)")
        }
    }

    /// A fault to plant.
    struct Fault: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let area: String
        let subject: String
        let hasList: Bool
        let kind: Kind

        enum Kind: Sendable {
            case flip(String)
            case truncate(String)
            case remove(String)
            case fill(String, String, [UInt8])
            case replace(String, String, String)
        }
    }

    private static let transformer = "transformer/diffusion_pytorch_model.safetensors"
    private static let text = "text_encoder/model.safetensors"
    static let faults = [
        Fault(
            testDescription: "a byte of the weights", area: "files",
            subject: "vae/diffusion_pytorch_model.safetensors", hasList: true,
            kind: .flip("vae/diffusion_pytorch_model.safetensors")),
        Fault(
            testDescription: "a short file", area: "files", subject: text, hasList: true,
            kind: .truncate(text)),
        Fault(
            testDescription: "a short file without a list", area: "tensors",
            subject: "names and shapes", hasList: false, kind: .truncate(text)),
        Fault(
            testDescription: "a missing file", area: "files", subject: "vae/config.json",
            hasList: true, kind: .remove("vae/config.json")),
        Fault(
            testDescription: "numbers that are none", area: "tensors",
            subject: "transformer: layers.1.attention.to_q.weight", hasList: false,
            kind: .fill("layers.1.attention.to_q.weight", transformer, [0xC0, 0x7F])),
        Fault(
            testDescription: "numbers that are too large", area: "tensors",
            subject: "transformer: layers.0.feed_forward.w2.weight", hasList: false,
            kind: .fill("layers.0.feed_forward.w2.weight", transformer, [0x00, 0x7E])),
        Fault(
            testDescription: "an empty matrix", area: "tensors",
            subject: "text encoder: layers.0.mlp.up_proj.weight", hasList: false,
            kind: .fill("layers.0.mlp.up_proj.weight", text, [0])),
        Fault(
            testDescription: "a damaged tokenizer", area: "tokenizer", subject: "tokenizer",
            hasList: false, kind: .truncate("tokenizer/tokenizer.json")),
        Fault(
            testDescription: "another configuration", area: "files",
            subject: "scheduler/scheduler_config.json", hasList: true,
            kind: .replace("scheduler/scheduler_config.json", "\"shift\"", "\"Shift\"")),
    ]

    @Test("a planted fault is found and named", arguments: faults)
    func planted(_ fault: Fault) async throws {
        let model = try Model(withList: fault.hasList)
        switch fault.kind {
        case .flip(let path): try model.change(path) { $0[$0.count - 7] ^= 1 }
        case .truncate(let path): try model.change(path) { $0.removeLast(99) }
        case .remove(let path):
            try FileManager.default.removeItem(at: model.url.appending(path: path))
        case .fill(let tensor, let path, let bytes):
            try model.fill(tensor, of: path, with: bytes)
        case .replace(let path, let old, let new):
            try model.change(path) {
                let text = String(decoding: $0, as: UTF8.self)
                #expect(text.contains(old))
                $0 = Data(text.replacing(old, with: new).utf8)
            }
        }
        let (result, report) = try await model.verify(Self.small)
        #expect(result.status == 65)
        #expect(
            report.faults.contains { $0.area == fault.area && $0.subject == fault.subject },
            "\(report.faults)")
        #expect(result.errors.hasPrefix("inkstone: "))
        #expect(!result.output.contains(model.folder.url.path))
    }

    /// Images of 64x64 pixels in two steps, as the reference's file has them; the engine stands for the reference.
    private func reference(
        of run: Report.Run, _ prompts: [String], in model: Model
    ) async throws -> (tensors: [NewTensor], metadata: [String: String]) {
        var tensors: [NewTensor] = []
        var metadata = ["format": "inkstone-reference", "precision": "float32", "torch": "2.0"]
        for image in run.images {
            let name = "\(image.prompt)-64x64"
            let trace = model.folder.url.appending(path: "trace.safetensors")
            let result = try await Program.run(
                [
                    "generate", prompts[image.prompt - 1], "--model", model.url.path,
                    "--width", "64", "--height", "64", "--steps", "2", "--seed", "\(image.seed)",
                    "--precision", "f32", "--trace", trace.path,
                ], in: model.folder)
            #expect(result.status == 0)
            let file = try SafetensorsFile(url: trace)
            for tensorName in file.tensors.keys {
                let tensor = try #require(file.tensor(named: tensorName))
                let label = "\(name)/\(tensorName)"
                let numbers: NewTensor.Numbers =
                    tensor.dtype == .f32
                    ? .f32(try tensor.floats())
                    : tensorName == "rgb8"
                        ? .u8(try tensor.int32s().map(UInt8.init)) : .i32(try tensor.int32s())
                tensors.append(NewTensor(label, shape: tensor.shape, numbers))
            }
            let settings: [String: Any] = [
                "name": name, "prompt": prompts[image.prompt - 1], "negative_prompt": "",
                "width": 64, "height": 64, "steps": 2, "seed": image.seed, "guidance_scale": 0,
                "cfg_normalization": 0, "cfg_truncation": 1,
            ]
            metadata["image." + name] = String(
                decoding: try JSONSerialization.data(withJSONObject: settings), as: UTF8.self)
        }
        return (tensors, metadata)
    }

    @Test("an image that differs from the reference is found and named")
    func reference() async throws {
        let model = try Model(withList: false)
        let options = [
            "--size", "64x64", "--steps", "2", "--precision", "f32", "--device", "cpu",
        ]
        let plain = try await model.verify(options + ["--no-reference"]).report
        let run = try #require(plain.runs.first)
        let (tensors, metadata) = try await reference(of: run, plain.prompts, in: model)
        let file = model.folder.url.appending(path: "reference.safetensors")
        try SafetensorsFile.write(tensors, metadata: metadata, to: file)
        let equal = try await model.verify(options + ["--reference", file.path])
        #expect(equal.result.status == 0, "\(equal.result.errors)")
        #expect(equal.report.faults.isEmpty)
        let errors = try #require(equal.report.runs.first?.images.first?.reference?.errors)
        #expect(errors["transformer_out.0"] == 0)
        #expect(errors["pos.input_ids"] == 0)

        let changed = tensors.map { tensor in
            guard tensor.name == "2-64x64/transformer_out.0",
                case .f32(var numbers) = tensor.numbers
            else { return tensor }
            numbers[5] += 1
            return NewTensor(tensor.name, shape: tensor.shape, .f32(numbers))
        }
        try SafetensorsFile.write(changed, metadata: metadata, to: file)
        let other = try await model.verify(options + ["--reference", file.path])
        #expect(other.result.status == 70)
        #expect(other.report.faults.map(\.subject) == ["cpu f32 2-64x64"])
        #expect(other.report.faults.first?.text.hasPrefix("transformer_out.0 differs") == true)

        let wrong = try await Program.run(
            ["verify", model.url.path, "--size", "80x80", "--reference", file.path],
            in: model.folder)
        #expect(wrong.status == 64)
        #expect(wrong.errors.contains("has no image 1-80x80 of these settings"))
    }

    @Test("sizes beyond the model's limits are noted, not made")
    func limits() async throws {
        let model = try Model(withList: false)
        let (result, report) = try await model.verify([
            "--size", "1024x1024", "--no-reference", "--threads", "1",
        ])
        #expect(result.status == 0)
        #expect(report.runs.isEmpty)
        #expect(report.notes.contains { $0.hasPrefix("No images of 1024x1024: ") })
    }

    @Test(
        "options that make no sense are refused",
        arguments: [
            (["--size", "big"], 64, "--size must be a size such as 256x256, got 'big'"),
            (["--device", "gpu"], 64, "'gpu' is invalid for '--device <cpu|vulkan[:gpu]>'"),
            (["--steps", "0"], 64, "--steps must be between 1 and 1000, got 0"),
            (["--reference", "a", "--python", "b"], 64, "--reference excludes --python"),
            (["--no-reference", "--python", "b"], 64, "--no-reference excludes"),
            (["--revision", "main"], 64, "--revision and --endpoint need --repository"),
            (["--repository", "one"], 64, "'one' is not a repository"),
            (["--python", "/nothing", "--size", "64x64"], 64, "'/nothing' does not run"),
            (["--reference", "/nothing.safetensors"], 66, "/nothing.safetensors"),
            (["--output", "/nothing/report.md"], 66, "The folder '/nothing' does not exist"),
        ] as [([String], Int32, String)])
    func refused(options: [String], status: Int32, text: String) async throws {
        let result = try await Program.run(
            ["verify", Program.model.path] + options, in: try TemporaryFolder())
        #expect(result.status == status)
        #expect(result.errors.contains(text), "\(result.errors)")
    }

    @Test("a chosen GPU that is not there is an error before anything is read")
    func noDevice() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(
            ["verify", Program.model.path, "--device", "cpu", "--device", "vulkan:99"], in: folder,
            environment: ["VK_DRIVER_FILES": "/dev/null", "VK_ICD_FILENAMES": "/dev/null"])
        #expect([64, 70].contains(result.status))
        #expect(result.errors.contains("Vulkan"), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.path("inkstone-verify.md")))
    }

    @Test("a folder that does not exist is named")
    func nothing() async throws {
        let result = try await Program.run(
            ["verify", "/nothing/here", "--no-reference"], in: try TemporaryFolder())
        #expect(result.status == 66)
        #expect(result.errors.contains("'/nothing/here' does not exist"))
    }
}
