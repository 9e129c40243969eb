// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// The weights of a linear layer on a device.
struct Linear<Device: Backend>: Sendable {
    /// Identifies the layer for adapters.
    let key: String
    let weights: Device.Weights
    let device: Device

    /// Runs the layer.
    ///
    /// - Parameters:
    ///   - x: the input rows.
    ///   - segments: the rows of each sequence.
    ///   - adapters: the LoRA files of each sequence.
    ///   - residual: added to the result.
    /// - Returns: `x · weights + adapters + bias (+ residual)`.
    func callAsFunction(
        _ x: Device.Operand, _ segments: Segments, _ adapters: AdapterBatch<Device>,
        adding residual: Device.Values? = nil
    ) -> Device.Values {
        device.product(x, weights, adapters: adapters.runs(for: key, segments), adding: residual)
    }

    /// Returns `silu(x · gate) * (x · up)` of a layer with layout `.gated`.
    func swiglu(
        _ x: Device.Operand, _ segments: Segments, _ adapters: AdapterBatch<Device>
    ) -> Device.Operand {
        device.swiglu(x, weights, adapters: adapters.runs(for: key, segments))
    }
}
