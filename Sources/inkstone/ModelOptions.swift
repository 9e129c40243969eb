// Part of Inkstone. Licence: see LICENSE.

public import ArgumentParser
public import Engine
import Foundation
import ModelFiles
import Tensors
import ZImage

extension PrecisionChoice: ExpressibleByArgument {}

/// Options of every command that loads a model.
struct ModelOptions: ParsableArguments {
    @Option(help: "Precision of products: auto, f32 or bf16.")
    var precision = PrecisionChoice.auto

    @Option(help: "Threads that compute; all processors if not given.")
    var threads: Int?

    mutating func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads must be between 1 and 1024, got \(threads).")
        }
    }

    /// The device that the options ask for.
    func makeBackend() throws -> CPUBackend {
        try CPUBackend(
            precision: precision.resolved,
            threads: threads ?? ProcessInfo.processInfo.activeProcessorCount,
            kernels: ProcessInfo.processInfo.environment["INKSTONE_KERNELS"])
    }

    /// Loads a model, named or given as a folder.
    func load(
        _ model: String, loras: [Pipeline<CPUBackend>.LoRA] = [],
        progress: (Double) -> Void = { _ in }
    ) throws -> Pipeline<CPUBackend> {
        let directory = try ModelDirectory(url: try ModelLocator().locate(model))
        return try Pipeline(
            model: directory, device: try makeBackend(), loras: loras, progress: progress)
    }
}
