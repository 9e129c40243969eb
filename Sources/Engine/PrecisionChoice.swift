// Part of Inkstone. Licence: see LICENSE.

public import ModelFiles
public import Tensors
import ZImage

/// A precision, or the best for a model on this machine.
public enum PrecisionChoice: String, Sendable, CaseIterable {
    /// int8 for models of more than 10^9 parameters, else bf16 if the processor has instructions for it,
    /// else f32.
    case auto
    /// f32 matrix products.
    case f32
    /// bf16 factors, f32 sums.
    case bf16
    /// Rotated 8-bit factors, exact sums.
    case int8

    /// The precision of the choice for a model on this processor, or on a GPU: `auto` is bf16 there for small
    /// models, since GPUs have instructions for it or for f16, and none for f32.
    public func resolved(for model: ModelDirectory, isOnGPU: Bool = false) throws -> Precision {
        if let fixed { return fixed }
        let plan = try MemoryPlan(model: model, precision: .f32)
        return isOnGPU
            ? CPUBackend.bestPrecision(parameters: plan.parameterCount, hasBF16: true)
            : CPUBackend.bestPrecision(parameters: plan.parameterCount)
    }

    /// The precision of the choice, if it does not depend on model and device.
    public var fixed: Precision? { Precision(rawValue: rawValue) }

    /// Why a loaded model has its precision, as a clause of a sentence.
    package func reason(for model: ModelDescription) -> String {
        guard self == .auto else { return "as requested" }
        return Precision(rawValue: model.precision).map(reason) ?? "auto, on a GPU"
    }

    /// Why ``resolved(for:)`` returned a precision, as a clause of a sentence.
    public func reason(for precision: Precision) -> String {
        guard self == .auto else { return "as requested" }
        return switch precision {
        case .int8: "auto, for models of more than 10^9 parameters"
        case .bf16: "auto, as the \(CPUBackend.defaultKernels) kernels have instructions for bf16"
        case .f32: "auto, as the \(CPUBackend.defaultKernels) kernels have no instructions for bf16"
        }
    }
}
