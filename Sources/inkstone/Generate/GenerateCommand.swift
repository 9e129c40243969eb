// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Catalog
import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import ZImage

/// `inkstone generate`: generates image files from one prompt.
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Generate an image from a prompt.",
        usage: "inkstone generate <prompt> [<options>]",
        discussion: """
            Examples:
              inkstone generate "a red apple on a blue background"
              inkstone generate "蓝色背景上的红苹果" --seed 7 --count 4 --output apple.webp
              inkstone generate "a cat" --image sketch.png --strength 0.7
              inkstone generate "a cat" --control net=edges,image=photo.png,type=canny

            The same seed, sizes and settings give the same image. 'inkstone models show' \
            prints the defaults of a model.
            """)

    @Argument(help: "Prompt in Chinese or English, in quotation marks.")
    var prompt: [String] = []

    @Option(help: ArgumentHelp("Name of a model, or its folder.", valueName: "name|folder"))
    var model = ModelLocator.embeddedModel

    @OptionGroup var sampling: SamplingOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Number of images; image i has seed + i and is written to FILE-1.png, FILE-2.png and so on.",
            valueName: "n"))
    var count: Int?

    @Option(
        help: ArgumentHelp(
            "Source image (PNG, JPEG or WebP); resized to --width and --height.",
            valueName: "file"))
    var image: String?

    @Option(
        help: ArgumentHelp(
            "Mask image: white where --image is generated again, black where it is kept.",
            valueName: "file"))
    var mask: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Fraction of the steps that is run on --image, above 0 and at most 1; 0.6 if not given, 1 with"
                + " --mask.", valueName: "x"))
    var strength: Double?

    @Option(
        help: ArgumentHelp("Which steps --strength selects; steps if not given.", valueName: "rule")
    )
    var strengthRule: SamplingMethod.StrengthRule?

    @Option(
        help: ArgumentHelp(
            "ControlNet with its image: net=NAME,image=FILE, and where wanted type=canny, strength=0.8,"
                + " start=0, end=0.6, low=100, high=200, value=9, fit=crop, source=FILE, mask=FILE. May be given"
                + " several times.", valueName: "net=..,image=.."))
    var control: [String] = []

    @Option(
        help: ArgumentHelp(
            "LoRA file, followed by :SCALE if not 1. May be given several times.",
            valueName: "file[:scale]"))
    var lora: [String] = []

    @Flag(
        help:
            "Apply LoRA files beside the weights, as a server does for requests; do not merge them."
    )
    var unmergedLora = false

    @OptionGroup var options: ModelOptions
    @OptionGroup var caches: CacheOptions

    @Option(
        help: ArgumentHelp(
            "Output file; .png, .jpg or .webp. An existing file is replaced.", valueName: "file"))
    var output = "inkstone.png"

    @Flag(help: "Leave the prompt and all other generation parameters out of the files.")
    var noEmbedParameters = false

    @Option(
        help: ArgumentHelp(
            "Read the initial noise from tensor latents.init of this safetensors file.",
            valueName: "file"))
    var latents: String?

    @Option(
        help: ArgumentHelp(
            "Write tensors for a parity check to this safetensors file.", valueName: "file"))
    var trace: String?

    @Flag(help: "Print one JSON object about the run instead of the file names.")
    var json = false

    @Flag(help: "Print only errors and the JSON object.")
    var quiet = false

    mutating func validate() throws {
        guard ImageFormat(path: output) != nil else {
            throw ValidationError(
                "--output must be a file name that ends in .png, .jpg or .webp, got '\(output)'.")
        }
        if strength != nil, image == nil {
            throw ValidationError("--strength needs --image, the source image.")
        }
        if strengthRule != nil, image == nil {
            throw ValidationError("--strength-rule needs --image, the source image.")
        }
        if mask != nil, image == nil {
            throw ValidationError("--mask needs --image, the source image.")
        }
        if trace != nil || latents != nil, (count ?? 1) != 1 {
            throw ValidationError("--trace and --latents work with --count 1 only.")
        }
        _ = try lora.map(LoRAOption.parse)
        _ = try control.map(ControlOption.init)
        if unmergedLora, lora.isEmpty { throw ValidationError("--unmerged-lora needs --lora.") }
    }

    func run() throws {
        Interrupt.install()
        // Not in `validate`, which the parser calls before it reports a mistyped option.
        guard let prompt = prompt.first else {
            throw CommandError(
                .usage, "Expected a prompt, got none; write it in quotation marks.")
        }
        guard self.prompt.count == 1 else {
            throw CommandError(
                .usage,
                "Expected one prompt, got \(self.prompt.count) words; put the prompt in quotation"
                    + " marks.")
        }
        // Everything that can be checked is checked before the long load.
        let folder = try ModelOptions.open(model)
        try generate(prompt, folder, on: try options.makeBackend(for: folder))
    }

    private func generate(
        _ prompt: String, _ folder: ModelDirectory, on device: some Backend
    ) throws {
        let request = try makeRequest(prompt, model: folder, device: device)
        let noise = try readNoise(request: request, model: folder)
        let destination = OutputFiles(path: output, count: request.count)
        try destination.check()
        if let trace { try OutputFiles(path: trace, count: 1).check() }

        let progress = ProgressLine(quiet: quiet)
        defer { progress.clear() }
        let loadStart = ContinuousClock.now
        let loras = try lora.map(LoRAOption.parse)
        let pipeline = try Pipeline(
            model: folder, device: device, loras: unmergedLora ? [] : loras,
            promptCache: caches.promptCache(for: device), weightCache: caches.weights.cache
        ) { progress.show(share: $0, label: "Loading") }
        if !quiet { ModelOptions.reportResidency(of: pipeline) }
        let loadSeconds = (ContinuousClock.now - loadStart).inSeconds
        let engine = InferenceEngine(
            pipeline: pipeline, controlNets: try controlNets(for: folder))

        let start = ContinuousClock.now
        let (images, tensors) = try draw(
            request, noise, unmergedLora ? loras : [], on: engine, to: destination, progress)
        let seconds = (ContinuousClock.now - start).inSeconds
        if let trace { try tensors?.write(to: URL(filePath: trace)) }

        progress.clear()
        let report = GenerateReport(
            request: request, images: images, outputs: destination.paths, engine: engine,
            precisionReason: options.precision.reason(for: engine.description),
            loadSeconds: loadSeconds, totalSeconds: seconds,
            warnings: sampling.unused(in: request),
            reports: unmergedLora ? try engine.reports(of: loras) : [])
        if !quiet { report.warnings.forEach(complain) }
        if json {
            print(try report.json())
        } else if !quiet {
            report.lines.forEach { print($0) }
        }
    }

    /// Runs the request; each image is written as soon as it is finished.
    private func draw(
        _ request: ImageRequest, _ noise: [Float]?, _ loras: [LoRASource],
        on engine: any LocalEngine,
        to destination: OutputFiles, _ progress: ProgressLine
    ) throws -> (images: [GeneratedImage], trace: Trace?) {
        var runOptions = RunOptions()
        runOptions.noise = noise
        runOptions.loras = loras
        runOptions.previews = false
        let traces = TraceBox()
        if trace != nil { runOptions.onTrace = { traces.trace = $0 } }
        var images: [GeneratedImage] = []
        var failure: (any Error)?
        var done = 0
        let start = ContinuousClock.now
        Interrupt.waitForSteps()
        progress.show("Encoding the prompt")
        do {
            try engine.run(
                request, options: runOptions,
                isCancelled: { Interrupt.isRaised || failure != nil }
            ) { event in
                switch event {
                case .step(_, _, let steps, _):
                    done += 1
                    let total = steps * request.count
                    progress.show(
                        step: done, of: total,
                        secondsPerStep: (ContinuousClock.now - start).inSeconds / Double(done),
                        label: done < total ? "Sampling" : "Decoding")
                case .image(let image):
                    do {
                        try save(image, request, engine.description, to: destination)
                        images.append(image)
                    } catch { failure = failure ?? error }
                default: break
                }
            }
        } catch is CancellationError where failure != nil {
            // Cancelled by the command itself: no further image could be written.
        }
        if let failure { throw failure }
        return (images, traces.trace)
    }

    private func save(
        _ image: GeneratedImage, _ request: ImageRequest, _ model: ModelDescription,
        to destination: OutputFiles
    ) throws {
        let bytes = try image.file(
            as: ImageEncoding(format: ImageFormat(path: output) ?? .png), of: request, model: model)
        try ImageFile.writeAtomically(bytes, to: destination.paths[image.index])
    }
}

/// Receives a trace from the engine's callback.
final class TraceBox: @unchecked Sendable {
    // Unchecked: written and read on the one thread that runs the command.
    var trace: Trace?
}
