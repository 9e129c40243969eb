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
            "Where the model runs: cpu, vulkan (the best GPU), vulkan:1 (by number), vulkan:radeon (by name) or"
                + " auto (a GPU with enough memory, else the processor); 'inkstone doctor' lists them.",
            valueName: "auto|cpu|vulkan[:gpu]"))
    var device = DeviceOption.cpu

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Most memory of the GPU to use; weights that it has no room for are kept in the machine's memory.",
            valueName: "GB"))
    var deviceMemory: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of threads; all processors if not given.", valueName: "n"))
    var threads: Int?

    mutating func validate() throws {
        try check("--threads", threads, in: 1...1024)
        if let deviceMemory {
            guard device.mayBeGPU else {
                throw ValidationError("--device-memory is for GPUs; add --device vulkan.")
            }
            guard (0.1...100_000).contains(deviceMemory) else {
                throw ValidationError(
                    "--device-memory must be between 0.1 and 100000, got \(deviceMemory).")
            }
        }
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
        guard device.all.count == 1 else {
            throw ValidationError(
                "--device must be one device here, got '\(device.defaultValueDescription)'; only 'serve'"
                    + " runs workers on several.")
        }
        switch device.all[0] {
        case .cpu: return try cpuBackend(for: model)
        case .vulkan(let choice):
            let backend = try Self.backend(
                on: choice, precision: try precision.resolved(for: model, isOnGPU: true),
                memoryLimit: memoryLimit)
            return Self.reported(backend)
        case .automatic:
            let chosen = try AutomaticDevice(for: model, precision, memoryLimit: memoryLimit)
            complain(chosen.reason)
            return try chosen.backend.map(Self.reported) ?? cpuBackend(for: model)
        }
    }

    private var memoryLimit: Int? { deviceMemory.map { Int($0 * 1e9) } }

    private func cpuBackend(for model: ModelDirectory) throws -> CPUBackend {
        try Self.backend(precision: try precision.resolved(for: model), threads: threads)
    }

    /// A backend on a Vulkan device.
    private static func backend(
        on choice: DeviceChoice, precision: Precision, memoryLimit: Int?
    ) throws -> VulkanBackend {
        var options = VulkanOptions()
        options.memoryLimit = memoryLimit
        let backend = try VulkanBackend(choice, precision: precision, options: options)
        if choice == .automatic, backend.device.facts.isSoftware {
            complain(
                "The only Vulkan device, '\(backend.device.facts.name)', is a software device: --device cpu is"
                    + " faster.")
        }
        return backend
    }

    /// The backend; a fault of its device is written to standard error.
    private static func reported(_ backend: VulkanBackend) -> VulkanBackend {
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

    /// Writes to standard error which weights of a pipeline are not in its device's memory.
    static func reportResidency(of pipeline: Pipeline<some Backend>) {
        guard let clause = pipeline.memory.description(of: pipeline.residency) else { return }
        complain("The model does not fit in the free memory: \(clause).")
    }

    /// Opens a model by name or path, without reading its weights.
    static func open(_ model: String) throws -> ModelDirectory {
        try ModelDirectory(url: try ModelLocator().locate(model))
    }
}
