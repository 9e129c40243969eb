// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Foundation
import ModelFiles
import Tensors
import ZImage

/// `inkstone benchmark`: speed of the engine, as shares of this machine's measured peak.
struct BenchmarkCommand: ParsableCommand {
    enum Subject: String, ExpressibleByArgument, CaseIterable { case kernels, block, image }

    static let configuration = CommandConfiguration(
        commandName: "benchmark",
        abstract: "Measure the engine, each figure as a share of this machine's measured peak.")

    @Argument(
        help: """
            kernels: products and attention at the sizes of Z-Image; block: one block of it; image: \
            whole pictures of a model.
            """)
    var subject = Subject.kernels

    @OptionGroup var options: ModelOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens of a kernels or block run; 1088 is 512x512.", valueName: "n"))
    var tokens = 1088

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Runs of each figure; the median is shown.", valueName: "n"))
    var `repeat` = 5

    @Option(help: ArgumentHelp("Model of an image run, or its folder.", valueName: "name|folder"))
    var model = ModelLocator.embeddedModel

    mutating func validate() throws {
        guard (1...20_000).contains(tokens) else {
            throw ValidationError("--tokens must be between 1 and 20000, got \(tokens).")
        }
        guard (1...1000).contains(`repeat`) else {
            throw ValidationError("--repeat must be between 1 and 1000, got \(`repeat`).")
        }
    }

    func run() throws {
        let device = try options.makeBackend()
        let peak = device.measurePeak(precision: device.precision)
        print(
            "\(device.kernelsName), \(device.precision.rawValue), \(device.threads) threads,"
                + " peak \(Int(peak / 1e9)) GOP/s")
        let bench = EngineBenchmark(device: device, peak: peak, repetitions: `repeat`)
        switch subject {
        case .kernels: bench.kernels(tokens: tokens)
        case .block: bench.block(tokens: tokens)
        case .image: try image()
        }
    }

    private func image() throws {
        let pipeline = try Pipeline(
            model: try ModelOptions.open(model), device: try options.makeBackend())
        let defaults = pipeline.model.manifest.defaults
        var seconds: [Double] = []
        for run in 0...`repeat` {
            let start = ContinuousClock.now
            _ = try pipeline.generate(
                PipelineInput(
                    prompt: "a red apple", width: defaults.width, height: defaults.height,
                    steps: defaults.steps, guidanceScale: defaults.guidanceScale,
                    seed: UInt64(run)))
            // The first run warms caches.
            if run > 0 { seconds.append((ContinuousClock.now - start).inSeconds) }
        }
        seconds.sort()
        print(
            "image \(defaults.width)x\(defaults.height), \(defaults.steps) steps:"
                + " median \(seconds[seconds.count / 2]) s (\(seconds[0]) to"
                + " \(seconds[seconds.count - 1]))")
    }
}
