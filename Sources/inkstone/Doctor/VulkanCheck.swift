// Part of Inkstone. Licence: see LICENSE.

import Basics
import Service
import VulkanTensors

/// What `inkstone doctor` says about the Vulkan devices of the machine.
enum VulkanCheck {
    /// A line for each device, or one about their absence.
    static var findings: [CheckFinding] {
        do {
            let devices = try vulkanDevices()
            guard !devices.isEmpty else { return [none("Vulkan has no devices")] }
            return devices.map(finding)
        } catch {
            return [none("\(error)")]
        }
    }

    /// Models run on the processor then, so that nothing needs to be done.
    private static func none(_ reason: String) -> CheckFinding {
        CheckFinding(.note, "GPU: none; \(reason)")
    }

    private static func finding(_ device: DeviceFacts) -> CheckFinding {
        let name =
            "GPU \(device.index): \(device.name), \(device.memoryBytes.byteText), driver"
            + " \(device.driverName) \(device.driverVersion)"
        guard device.missing.isEmpty else {
            return CheckFinding(
                .note,
                "\(name); it lacks \(device.missing.joined(separator: ", ")), update the driver to use it"
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
        return CheckFinding(
            .good, "\(name), \(matrices); --device vulkan:\(device.index) selects it")
    }

    /// Such as `16x16x32 s8`.
    private static func shape(_ shape: MatrixShape) -> String {
        "\(shape.m)x\(shape.n)x\(shape.k) \(shape.a)"
    }
}
