// Part of Inkstone. Licence: see LICENSE.

public import Tensors

/// A precision, or the machine's best.
public enum PrecisionChoice: String, Sendable, CaseIterable {
    /// bf16 where the processor multiplies it in hardware, else f32.
    case auto
    /// f32 products.
    case f32
    /// bf16 factors, f32 sums.
    case bf16

    /// What the choice means on this processor.
    public var resolved: Precision {
        switch self {
        case .auto: CPUBackend.bestPrecision
        case .f32: .f32
        case .bf16: .bf16
        }
    }
}
