// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Foundation
import Imaging
import ModelFiles
import Tensors
import ZImage

/// `inkstone generate`: one prompt, one or more picture files.
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Make a picture from a prompt.")

    @Argument(help: "What to draw, in Chinese or English.")
    var prompt: String

    @Option(help: "Name of a model, or its folder.")
    var model = ModelLocator.embeddedModel

    @Option(help: "What to lead away from; used with guidance.")
    var negative: String?

    @Option(help: "Columns of pixels; the model's default if not given.")
    var width: Int?

    @Option(help: "Rows of pixels; the model's default if not given.")
    var height: Int?

    @Option(help: "Evaluations of the transformer.")
    var steps: Int?

    @Option(help: "Guidance g in positive + g (positive - negative); 0 is off.")
    var guidanceScale: Double?

    @Option(help: "Largest norm of the guided output as a multiple of the unguided; 0 is off.")
    var cfgNormalization: Double?

    @Option(help: "Guidance stops where 1 - sigma exceeds this.")
    var cfgTruncation: Double?

    @Option(help: "Seed of the noise; chosen and reported if not given.")
    var seed: Int64?

    @Option(help: "Number of pictures; picture i has seed + i.")
    var count: Int?

    @Option(help: "Picture to start from (PNG, JPEG or WebP).")
    var image: String?

    @Option(help: "Share of the steps that is run on --image.")
    var strength: Double?

    @Option(help: "LoRA file, with :SCALE behind it if not 1. May be given several times.")
    var lora: [String] = []

    @OptionGroup var options: ModelOptions

    @Option(help: "Picture file; .png, .jpg or .webp.")
    var output = "inkstone.png"

    @Option(help: "Read the initial noise from tensor latents.init of this safetensors file.")
    var latents: String?

    @Option(help: "Write tensors for a parity check to this safetensors file.")
    var trace: String?

    @Flag(help: "Print one JSON object about the run.")
    var json = false

    @Flag(help: "Show no progress.")
    var quiet = false

    mutating func validate() throws {
        guard ImageFormat(path: output) != nil else {
            throw ValidationError(
                "--output must end in .png, .jpg or .webp, got '\(output)'.")
        }
        if strength != nil, image == nil {
            throw ValidationError("--strength needs --image.")
        }
        if trace != nil || latents != nil, (count ?? 1) != 1 {
            throw ValidationError("--trace and --latents work with --count 1 only.")
        }
    }

    func run() throws {
        let progress = ProgressLine(quiet: quiet)
        // Everything that can be checked is checked before the long load.
        let destination = URL(filePath: output)
        try checkWritable(destination)
        let source = try readSource()
        let noise = try readNoise()
        let loras = try lora.map(LoRAOption.parse)

        let loadStart = ContinuousClock.now
        let pipeline = try options.load(model, loras: loras) {
            progress.show(share: $0, label: "Loading")
        }
        progress.clear()
        let loadSeconds = (ContinuousClock.now - loadStart).inSeconds
        let engine = InferenceEngine(pipeline: pipeline)
        let request = try makeRequest(source: source, model: engine.description)

        Interrupt.install()
        var runOptions = InferenceEngine.RunOptions()
        runOptions.noise = noise
        runOptions.previews = false
        let traceFile = trace.map { URL(filePath: $0) }
        let traces = TraceBox()
        if traceFile != nil { runOptions.onTrace = { traces.trace = $0 } }
        var images: [GeneratedImage] = []
        var outputs: [String] = []
        var failure: (any Error)?
        try engine.run(request, options: runOptions, isCancelled: { Interrupt.isRaised }) { event in
            switch event {
            case .step(let index, let step, let steps, let seconds):
                let label =
                    request.count > 1 ? "Picture \(index + 1)/\(request.count)" : "Drawing"
                progress.show(step: step, of: steps, secondsPerStep: seconds, label: label)
            case .image(let image):
                images.append(image)
                let file = Self.file(destination, index: image.index, count: request.count)
                do {
                    try save(image, request, engine.description, to: file)
                    outputs.append(file.path)
                } catch { failure = failure ?? error }
            default: break
            }
        }
        progress.clear()
        if let failure { throw failure }
        if let traceFile, let trace = traces.trace { try trace.write(to: traceFile) }
        let report = GenerateReport(
            request: request, images: images, outputs: outputs, pipeline: pipeline,
            description: engine.description, loadSeconds: loadSeconds)
        report.warn(quiet: quiet)
        if json {
            print(try report.json())
        } else if !quiet {
            for (path, image) in zip(outputs, images) {
                print("\(path)  seed \(image.seed)  \(ProgressLine.text(image.seconds.total))")
            }
        }
    }

    // MARK: - Inputs

    private func makeRequest(
        source: ImageRequest.Source?, model: ModelDescription
    ) throws -> ImageRequest {
        var draft = ImageRequest.Draft(prompt: prompt)
        draft.negativePrompt = negative
        draft.width = width
        draft.height = height
        draft.steps = steps
        draft.guidanceScale = guidanceScale
        draft.cfgNormalization = cfgNormalization
        draft.cfgTruncation = cfgTruncation
        draft.seed = seed
        draft.count = count
        draft.source = source
        return try ImageRequest(draft, for: model)
    }

    private func readSource() throws -> ImageRequest.Source? {
        guard let image else { return nil }
        let decoded = try ImageFile.read(from: image)
        return ImageRequest.Source(image: decoded.image, strength: strength ?? 0.6)
    }

    private func readNoise() throws -> [Float]? {
        guard let latents else { return nil }
        let file = try SafetensorsFile(url: URL(filePath: latents))
        guard let tensor = file.tensor(named: "latents.init") else {
            throw CheckpointError(
                code: .missingTensor, message: "\(latents) has no tensor 'latents.init'.",
                remedy: "Write one of shape [C, height / 8, width / 8] in F32.")
        }
        return try tensor.floats()
    }

    private func checkWritable(_ file: URL) throws {
        let folder = file.deletingLastPathComponent().path
        var isFolder = ObjCBool(false)
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder),
            isFolder.boolValue
        else {
            throw CheckpointError(
                code: .notFound, message: "the folder '\(folder)' of --output does not exist.",
                remedy: "Create it first.")
        }
    }

    // MARK: - Outputs

    private static func file(_ file: URL, index: Int, count: Int) -> URL {
        guard count > 1 else { return file }
        let stem = file.deletingPathExtension().lastPathComponent
        return file.deletingLastPathComponent().appending(
            path: "\(stem)-\(index + 1).\(file.pathExtension)")
    }

    private func save(
        _ image: GeneratedImage, _ request: ImageRequest, _ model: ModelDescription,
        to file: URL
    ) throws {
        let parameters = GenerationParameters(request: request, image: image, model: model)
        let format = ImageFormat(path: file.path) ?? .png
        let bytes = try ImageEncoder.encode(
            image.image, as: ImageEncoding(format: format),
            metadata: ImageMetadata(parameters: parameters.text))
        try ImageFile.writeAtomically(bytes, to: file.path)
    }
}

/// Carries a trace out of the engine's callback.
private final class TraceBox: @unchecked Sendable {
    // Unchecked: written and read on the one thread that runs the command.
    var trace: Trace?
}
