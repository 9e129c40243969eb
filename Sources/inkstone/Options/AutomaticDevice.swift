// Part of Inkstone. Licence: see LICENSE.

import Engine
import ModelFiles
import Tensors
import VulkanTensors
import ZImage

/// The choice of `--device auto`.
struct AutomaticDevice {
    /// The GPU, or `nil` for the processor.
    let backend: VulkanBackend?
    /// What was chosen and why, as a sentence.
    let reason: String

    /// Opens the best GPU that has memory for a model; software devices are left out.
    init(for model: ModelDirectory, _ precision: PrecisionChoice, memoryLimit: Int?) throws {
        let devices: [DeviceFacts]
        do { devices = try vulkanDevices() } catch {
            self.init(because: "\(error)")
            return
        }
        let real = devices.filter { !$0.isSoftware && $0.kind != .other }
            .sorted { ($0.kind, $0.index) < ($1.kind, $1.index) }
        guard !real.isEmpty else {
            let software = devices.first.map { ["'\($0.name)' is a software device"] } ?? []
            let hidden = HiddenGPUs().sentences(beside: devices)
            self.init(
                because: (["Vulkan has no GPU"] + software + hidden).joined(separator: "; "))
            return
        }
        var faults: [String] = []
        for facts in real {
            guard facts.missing.isEmpty else {
                faults.append("'\(facts.name)' lacks \(facts.missing.joined(separator: ", "))")
                continue
            }
            do {
                var options = VulkanOptions()
                options.memoryLimit = memoryLimit
                let backend = try VulkanBackend(
                    .number(facts.index),
                    precision: try precision.resolved(for: model, isOnGPU: true), options: options)
                _ = try MemoryPlan(model: model, precision: backend.precision).residency(
                    on: backend)
                self.init(
                    backend: backend,
                    reason: "--device auto: GPU \(facts.index) '\(facts.name)'.")
                return
            } catch let error as VulkanError {
                faults.append("\(error)")
            } catch let error as MemoryError {
                faults.append("'\(facts.name)': \(error)")
            }
        }
        self.init(because: faults.joined(separator: "; "))
    }

    private init(because reason: String) {
        self.init(
            backend: nil,
            reason: "--device auto: the processor, because \(reason)"
                + (reason.hasSuffix(".") ? "" : "."))
    }

    private init(backend: VulkanBackend?, reason: String) {
        self.backend = backend
        self.reason = reason
    }
}
