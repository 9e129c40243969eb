// Part of Inkstone. Licence: see LICENSE.

public import ArgumentParser
import Catalog
public import Engine
import Foundation
import ModelFiles
import Tensors
import VulkanTensors
import ZImage

extension PrecisionChoice: ExpressibleByArgument {}

/// Options of every command that loads a model.
struct ModelOptions: ParsableArguments {
    /// Environment variable that selects the kernels, for tests and comparisons; `CPUBackend` reads it.
    private static let kernelsVariable = "INKSTONE_KERNELS"

    @Option(help: "Precision of matrix products; auto is the fastest for this model and processor.")
    var precision = PrecisionChoice.auto

    @Option(
        help: ArgumentHelp(
            "Where the model runs: cpu, vulkan (the best GPU), vulkan:1 (by number) or vulkan:radeon (by"
                + " name); 'inkstone doctor' lists them.", valueName: "cpu|vulkan[:gpu]"))
    var device = DeviceOption.cpu

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of threads; all processors if not given.", valueName: "n"))
    var threads: Int?

    mutating func validate() throws {
        try check("--threads", threads, in: 1...1024)
        let kernels = CPUBackend.availableKernels
        if let name = ProcessInfo.processInfo.environment[Self.kernelsVariable], !name.isEmpty,
            !kernels.contains(name)
        {
            throw ValidationError(
                "\(Self.kernelsVariable) must be one of \(kernels.joined(separator: ", ")) on this"
                    + " processor, got '\(name)'.")
        }
    }

    /// The backend of the options; `auto` depends on the model and the device.
    func makeBackend(for model: ModelDirectory) throws -> any Backend {
        switch device {
        case .cpu:
            try Self.backend(precision: try precision.resolved(for: model), threads: threads)
        case .vulkan(let choice):
            try Self.backend(
                on: choice, precision: try precision.resolved(for: model, isOnGPU: true))
        }
    }

    /// A backend on a Vulkan device; what a person should know of it is written to standard error.
    private static func backend(
        on choice: DeviceChoice, precision: Precision
    ) throws -> VulkanBackend {
        let backend = try VulkanBackend(choice, precision: precision)
        if choice == .automatic, backend.device.facts.isSoftware {
            complain(
                "The only Vulkan device, '\(backend.device.facts.name)', is a software device: --device cpu is"
                    + " faster.")
        }
        if let fault = backend.matrixFault {
            complain("The matrix instructions of the Vulkan device are not used: \(fault)")
        }
        return backend
    }

    /// A backend on the CPU; without a number, of all threads.
    static func backend(precision: Precision, threads: Int?) throws -> CPUBackend {
        try CPUBackend(
            precision: precision,
            threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    }

    /// Opens a model by name or path, without reading its weights.
    static func open(_ model: String) throws -> ModelDirectory {
        try ModelDirectory(url: try ModelLocator().locate(model))
    }
}
