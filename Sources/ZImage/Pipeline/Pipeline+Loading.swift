// Part of Inkstone. Licence: see LICENSE.

public import Foundation
import ModelFiles
public import Tensors

/// A pipeline on this machine's processor.
public typealias CPUPipeline = Pipeline<CPUBackend>

extension Pipeline where Device == CPUBackend {
    /// Loads the model in a folder, with the fastest kernels of this processor and all its threads.
    ///
    /// Products are in int8 for a large model, else in bf16 if the processor has instructions for it, else
    /// in f32. For another precision, create the device and use
    /// ``init(model:device:loras:promptCache:weightCache:loraCapacity:progress:)``.
    ///
    /// - Parameters:
    ///   - url: a folder in the diffusers layout.
    ///   - loras: LoRA files to merge into the weights.
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
