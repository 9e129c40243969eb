// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
public import Tensors

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// A pipeline on this machine's processor.
public typealias CPUPipeline = Pipeline<CPUBackend>

extension Pipeline where Device == CPUBackend {
    /// Loads the model in a folder, with the fastest kernels of this processor and all its threads.
    ///
    /// Products are in bf16 where the processor multiplies it in hardware, else in f32. For another
    /// choice make the device yourself and use ``init(model:device:loras:progress:)``.
    ///
    /// - Parameters:
    ///   - url: a folder in the diffusers layout.
    ///   - loras: merged into the weights.
    /// - Throws: `CheckpointError`, `TokenizerError`, `MemoryError`, `BackendError`.
    public convenience init(modelAt url: URL, loras: [LoRA] = []) throws {
        let device = try CPUBackend(
            precision: CPUBackend.bestPrecision,
            threads: ProcessInfo.processInfo.activeProcessorCount)
        try self.init(model: ModelDirectory(url: url), device: device, loras: loras)
    }
}
