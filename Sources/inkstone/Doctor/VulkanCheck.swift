// Part of Inkstone. Licence: see LICENSE.

import Basics
import Service
import VulkanTensors
import ZImage

/// What `inkstone doctor` says about the Vulkan devices of the machine.
enum VulkanCheck {
    /// A line for each device, or one about their absence, and one for each GPU that is not among them.
    ///
    /// - Parameter model: The name of a large model and what it needs.
    /// - Returns: The findings.
    static func findings(for model: (name: String, plan: MemoryPlan)?) -> [CheckFinding] {
        var devices: [DeviceFacts] = []
        var findings: [CheckFinding] = []
        do {
            devices = try vulkanDevices()
            findings = devices.map { finding($0, model) }
        } catch {
            // Models run on the processor then, so that nothing needs to be done.
            findings = [CheckFinding(.note, "GPU: none; \(error)")]
        }
        if !devices.isEmpty, devices.allSatisfy(\.isSoftware) {
            findings.append(
                CheckFinding(.note, "GPU: Vulkan lists none; --device auto takes the processor"))
        }
        return findings
            + HiddenGPUs().sentences(beside: devices).map { CheckFinding(.note, "GPU: \($0)") }
    }

    private static func finding(
        _ device: DeviceFacts, _ model: (name: String, plan: MemoryPlan)?
    ) -> CheckFinding {
        let name =
            "GPU \(device.index): \(device.name), \(device.memoryBytes.byteText), driver"
            + " \(device.driverName) \(device.driverVersion)"
        guard device.missing.isEmpty else {
            return CheckFinding(
                .note,
                "\(name); it lacks \(device.missing.joined(separator: ", ")): update the driver, or use the processor"
            )
        }
        guard !device.isSoftware else {
            return CheckFinding(.note, "\(name); a software device, slower than --device cpu")
        }
        let shapes = device.matrixShapes.filter { $0.a == .s8 || $0.a == .f16 }
        let matrices =
            shapes.isEmpty
            ? "no matrix instructions"
            : "matrices \(Set(shapes.map(shape)).sorted().joined(separator: ", "))"
        let memory = model.map { "; \(Self.memory(for: $0, on: device))" } ?? ""
        return CheckFinding(
            .good, "\(name), \(matrices); --device vulkan:\(device.index) selects it\(memory)")
    }

    /// Whether a model fits when nothing else uses the memory of a device.
    private static func memory(
        for model: (name: String, plan: MemoryPlan), on device: DeviceFacts
    ) -> String {
        guard !device.hasUnifiedMemory else {
            return "it shares the machine's memory"
        }
        do {
            let residency = try model.plan.residency(
                device: device.memoryBytes, host: MemoryPlan.availableBytes ?? .max)
            guard let clause = model.plan.description(of: residency) else {
                return "it has memory for \(model.name)"
            }
            return "of \(model.name), \(clause)"
        } catch {
            return "too little memory for \(model.name), since \(error)"
        }
    }

    /// Such as `16x16x32 s8`.
    private static func shape(_ shape: MatrixShape) -> String {
        "\(shape.m)x\(shape.n)x\(shape.k) \(shape.a)"
    }
}
