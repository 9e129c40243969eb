// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Catalog
import Engine
import Foundation
import ModelFiles
import Parameters
import Tensors
import VulkanTensors
package import ZImage

extension RandomModel: ExpressibleByArgument {}

/// `inkstone benchmark`: speed of the engine, relative to this machine's measured peak.
struct BenchmarkCommand: ParsableCommand {
    enum Subject: String, ExpressibleByArgument, CaseIterable {
        case kernels, block, lora, controls, samplers, step, text, decoder, image, report

        /// Subjects with the sizes of Z-Image unless a model is given.
        var isPart: Bool { [.kernels, .block, .lora, .controls, .samplers].contains(self) }

        /// Checks that no result is above the peak in GOP/s, apart from its spread.
        ///
        /// Only where every operation that is counted is done: the decoder's Winograd convolutions are faster than
        /// the products that they replace.
        ///
        /// - Throws: `CommandError`.
        func check(_ results: [TimedRuns], peak: Double, _ precision: String) throws {
            guard ![.decoder, .image, .report, .controls].contains(self), peak > 0 else { return }
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
            measured. kernels, block, lora, controls and samplers have the sizes of Z-Image unless --model is given.

            On a GPU the time of each kernel, from the device's timestamps, follows each figure, with its \
            share of the peak in the numbers that it multiplies, and the processor's time for each \
            submission. report measures all of them and prints one page of Markdown that can be sent to \
            others: it contains neither paths nor prompts.
            """)

    @Argument(
        help: """
            kernels: products and attention; block: one block; lora: a block without and with a \
            LoRA on all its layers; controls: what each ControlNet adds to a step, from some of its layers; \
            samplers: the arithmetic of each sampler; step: the whole transformer once; \
            text: a prompt through the text encoder; decoder: latents to a picture; image: whole \
            pictures; report: kernels, a block, text, a step and the decoder of a GPU.
            """)
    var subject = Subject.kernels

    @OptionGroup var options: ModelOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens of a kernels, block, text or report run; 1088 is a block at 512x512. 1088, or 40 of text,"
                + " if not given.", valueName: "n"))
    var tokens: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Image side of a step, controls, samplers, decoder, image or report run; the model's default if not given.",
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
        if tokens != nil, ![.kernels, .block, .lora, .text, .report].contains(subject) {
            throw ValidationError("--tokens is for kernels, block, lora, text and report.")
        }
        if size != nil,
            ![.step, .controls, .samplers, .decoder, .image, .report].contains(subject)
        {
            throw ValidationError(
                "--size is for step, controls, samplers, decoder, image and report.")
        }
        if steps != nil, subject != .image {
            throw ValidationError("--steps is for image.")
        }
    }

    func run() throws {
        let model = try openModel(subject)
        let device = try options.makeBackend(for: model)
        if subject == .report {
            try writeReport(model, on: device)
        } else {
            try measure(model, on: device)
        }
    }

    private func measure(_ model: ModelDirectory, on device: some Backend) throws {
        let rates = try MachineRates(of: device)
        let (results, profiles) = try results(of: subject, model, on: device)
        let precision = device.precisionName
        try subject.check(results, peak: rates.peaks[precision] ?? 0, precision)
        let report = BenchmarkReport(
            subject: subject.rawValue, model: model.manifest.id, device: device, rates: rates,
            results: results, profiles: profiles)
        if json { print(try report.json()) } else { report.lines.forEach { print($0) } }
    }

    /// Measures a subject, and on a GPU where the time of its parts goes.
    func results<Device: Backend>(
        of subject: Subject, _ model: ModelDirectory, on device: Device
    ) throws -> ([TimedRuns], [NamedProfile]) {
        let defaults = model.manifest.defaults
        let (width, height) = (size ?? defaults.size.width, size ?? defaults.size.height)
        var profiles: [NamedProfile] = []
        var profiler: EngineBenchmark<Device>.Profiler?
        if let gpu = device as? VulkanBackend {
            profiler = { part, run in
                profiles.append(NamedProfile(name: part, profile: try gpu.profile(run)))
            }
        }
        let bench = EngineBenchmark(
            device: device, model: model, repetitions: `repeat`, profiler: profiler)
        let results: [TimedRuns]
        switch subject {
        case .kernels: results = try bench.kernels(tokens: tokens ?? 1088)
        case .block: results = [try bench.block(tokens: tokens ?? 1088)]
        case .lora: results = try bench.lora(tokens: tokens ?? 1088, rank: rank)
        case .controls: results = try bench.controls(width: width, height: height)
        case .samplers: results = try bench.samplers(width: width, height: height)
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
        case .report: results = []
        }
        return (results, profiles)
    }

    /// The model of a subject.
    func openModel(_ subject: Subject) throws -> ModelDirectory {
        guard let random = randomWeights ?? (subject.isPart && model == nil ? .zImageTurbo : nil)
        else { return try ModelOptions.open(model ?? ModelLocator.embeddedModel) }
        // Only complete images need its tokenizer.
        return try random.directory(
            tokenizerOf: subject == .image
                ? try ModelLocator().locate(ModelLocator.embeddedModel) : URL(filePath: "/"))
    }
}
