// Part of Inkstone. Licence: see LICENSE.

public import ModelFiles
public import Tensors
import ZImage

/// A precision, or the best for a model on this machine.
public enum PrecisionChoice: String, Sendable, CaseIterable {
    /// int8 for models of more than 10^9 parameters if the processor has instructions for it, else bf16
    /// if it has those, else f32.
    case auto
    /// f32 matrix products.
    case f32
    /// bf16 factors, f32 sums.
    case bf16
    /// Rotated 8-bit factors, exact sums.
    case int8

    /// The precision of the choice for a model on this processor.
    public func resolved(for model: ModelDirectory) throws -> Precision {
        switch self {
        case .auto:
            let plan = try MemoryPlan(model: model, precision: .f32)
            return CPUBackend.bestPrecision(parameters: plan.parameterCount)
        case .f32: return .f32
        case .bf16: return .bf16
        case .int8: return .int8
        }
    }
}
