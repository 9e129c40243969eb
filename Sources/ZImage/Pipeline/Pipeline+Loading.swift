// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import ModelFiles
public import Tensors

/// A pipeline on this machine's processor.
public typealias CPUPipeline = Pipeline<CPUBackend>

extension Pipeline where Device == CPUBackend {
    /// Loads the model in a folder, with the fastest kernels of this processor and all its threads.
    ///
    /// Products are in int8 for a large model where the processor has instructions for it, else in
    /// bf16 where it has those, else in f32. For another choice make the device yourself and use ``init(model:device:loras:progress:)``.
    ///
    /// - Parameters:
    ///   - url: a folder in the diffusers layout.
    ///   - loras: merged into the weights.
    /// - Throws: `CheckpointError`, `TokenizerError`, `MemoryError`, `BackendError`.
    public convenience init(modelAt url: URL, loras: [LoRA] = []) throws {
        let model = try ModelDirectory(url: url)
        let parameters = try MemoryPlan(model: model, precision: .f32).parameterCount
        let device = try CPUBackend(
            precision: CPUBackend.bestPrecision(parameters: parameters),
            threads: ProcessInfo.processInfo.activeProcessorCount)
        try self.init(model: model, device: device, loras: loras)
    }
}
