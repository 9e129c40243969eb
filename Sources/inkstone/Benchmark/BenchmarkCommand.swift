// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Catalog
import Engine
import Foundation
import ModelFiles
import Parameters
import Tensors
package import ZImage

extension RandomModel: ExpressibleByArgument {}

/// `inkstone benchmark`: speed of the engine, relative to this machine's measured peak.
struct BenchmarkCommand: ParsableCommand {
    enum Subject: String, ExpressibleByArgument, CaseIterable {
        case kernels, block, lora, step, text, decoder, image

        /// Checks that no result is above the peak in GOP/s, apart from its spread.
        ///
        /// Only where every operation that is counted is done: the decoder's Winograd convolutions are faster than
        /// the products that they replace.
        ///
        /// - Throws: `CommandError`.
        func check(_ results: [TimedRuns], peak: Double, _ precision: String) throws {
            guard self != .decoder, self != .image, peak > 0 else { return }
            for result in results where result.isAbove(peak: peak) {
                throw CommandError(
                    .failed,
                    "\(result.name): \(Int(result.rate)) GOP/s, more than the peak in \(precision),"
                        + " \(Int(peak)). The peak was measured while other programs ran; stop them, and"
                        + " measure again.")
            }
        }
    }

    static let configuration = CommandConfiguration(
        commandName: "benchmark",
        abstract: "Measure the engine, relative to this machine's measured peak.",
        usage: "inkstone benchmark [<subject>] [<options>]",
        discussion: """
            Operations are two a multiply-add, of products, convolutions and attention. The peak is \
            the best of five loops of multiply-adds on registers alone, in the precision that is \
            measured. kernels, block and lora have the sizes of Z-Image unless --model is given.
            """)

    @Argument(
        help: """
            kernels: products and attention; block: one block; lora: a block without and with a \
            LoRA on all its layers; step: the whole transformer once; \
            text: a prompt through the text encoder; decoder: latents to a picture; image: whole \
            pictures.
            """)
    var subject = Subject.kernels

    @OptionGroup var options: ModelOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens of a kernels, block or text run; 1088 is a block at 512x512. 1088, or 40 of text,"
                + " if not given.", valueName: "n"))
    var tokens: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Image side of a step, decoder or image run; the model's default if not given.",
            valueName: "px"))
    var size: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Steps of an image run; the model's default if not given.", valueName: "n"))
    var steps: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Runs of each measurement; the median is reported.", valueName: "n"))
    var `repeat` = 5

    @Option(
        help: ArgumentHelp(
            "Model to measure, or its folder; \(ModelLocator.embeddedModel) if not given.",
            valueName: "name|folder"))
    var model: String?

    @Option(help: "Measure a model of real size with random weights; needs no files.")
    var randomWeights: RandomModel?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Rank of a lora run.", valueName: "n"))
    var rank = 32

    @Flag(help: "Print one JSON object instead of text.")
    var json = false

    mutating func validate() throws {
        try check("--tokens", tokens, in: 1...20_000)
        try check("--repeat", `repeat`, in: 1...1000)
        try check("--size", size, in: 16...4096)
        try check("--steps", steps, in: 1...1000)
        try check("--rank", rank, in: 1...1024)
        if let size, !size.isMultiple(of: 16) {
            throw ValidationError("--size must be a multiple of 16, got \(size).")
        }
        if model != nil, randomWeights != nil {
            throw ValidationError("--model and --random-weights are mutually exclusive.")
        }
        if tokens != nil, ![.kernels, .block, .lora, .text].contains(subject) {
            throw ValidationError("--tokens is for kernels, block, lora and text.")
        }
        if size != nil, ![.step, .decoder, .image].contains(subject) {
            throw ValidationError("--size is for step, decoder and image.")
        }
        if steps != nil, subject != .image {
            throw ValidationError("--steps is for image.")
        }
    }

    func run() throws {
        let model = try openModel()
        try measure(model, on: try options.makeBackend(for: model))
    }

    private func measure(_ model: ModelDirectory, on device: some Backend) throws {
        // A device of another kind has no peak that was measured.
        let peaks = (device as? CPUBackend).map { device in
            Dictionary(
                uniqueKeysWithValues: Precision.allCases.map {
                    ($0.rawValue, PeakThroughput.measured(on: device, $0) / 1e9)
                })
        }
        let defaults = model.manifest.defaults
        let (width, height) = (size ?? defaults.size.width, size ?? defaults.size.height)
        let bench = EngineBenchmark(device: device, model: model, repetitions: `repeat`)
        let results: [TimedRuns]
        switch subject {
        case .kernels: results = try bench.kernels(tokens: tokens ?? 1088)
        case .block: results = [try bench.block(tokens: tokens ?? 1088)]
        case .lora: results = try bench.lora(tokens: tokens ?? 1088, rank: rank)
        case .step: results = [try bench.step(width: width, height: height)]
        case .text: results = [try bench.text(tokens: tokens ?? 40)]
        case .decoder: results = [try bench.decoder(width: width, height: height)]
        case .image:
            // Nothing is cached: every image is generated.
            let pipeline = try Pipeline(model: model, device: device, promptCache: nil)
            results = [
                try bench.image(
                    pipeline, width: width, height: height, steps: steps ?? defaults.steps)
            ]
        }
        let precision = device.precisionName
        try subject.check(results, peak: peaks?[precision] ?? 0, precision)
        let report = BenchmarkReport(
            subject: subject.rawValue, model: model.manifest.id, device: device,
            peaks: peaks ?? [:],
            results: results)
        if json { print(try report.json()) } else { report.lines.forEach { print($0) } }
    }

    private func openModel() throws -> ModelDirectory {
        let isPart = [.kernels, .block, .lora].contains(subject)
        guard let random = randomWeights ?? (isPart && model == nil ? .zImageTurbo : nil) else {
            return try ModelOptions.open(model ?? ModelLocator.embeddedModel)
        }
        // Only complete images need its tokenizer.
        return try random.directory(
            tokenizerOf: subject == .image
                ? try ModelLocator().locate(ModelLocator.embeddedModel) : URL(filePath: "/"))
    }
}
