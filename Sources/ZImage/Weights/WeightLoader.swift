// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

/// Brings a component's stored tensors to a device, with LoRA deltas merged on the way.
struct WeightLoader<Device: Backend>: Sendable {
    let device: Device
    let store: TensorStore
    /// Changes to weights, by name of the stored tensor; empty for most models.
    var deltas: [String: LowRankDelta] = [:]

    /// A weight matrix from tensors of shape `[rows, depth]` (or convolution kernels).
    func weights(
        _ names: [String], layout: MatrixSource.Layout = .stacked, bias: [String] = [],
        precision: Precision
    ) throws -> Device.Weights {
        let parts = try names.map { try rows($0) }
        let biases = try bias.flatMap { try numbers($0) }
        let made = device.makeWeights(
            MatrixSource(parts, layout: layout, bias: bias.isEmpty ? nil : biases),
            precision: precision)
        // The pages were read once; a full-size model would otherwise fill memory with them.
        for name in names { store.releasePages(of: name) }
        return made
    }

    /// Parameters of a vector.
    func vector(_ name: String) throws -> Device.Vector {
        device.makeVector(try numbers(name))
    }

    /// All numbers of a tensor as f32.
    func numbers(_ name: String) throws -> [Float] {
        try tensor(name).floats()
    }

    func tensor(_ name: String) throws -> StoredTensor {
        guard let tensor = store[name] else {
            throw CheckpointError(
                code: .missingTensor,
                message: "tensor '\(name)' is missing.",
                remedy: "Download the model folder again.")
        }
        return tensor
    }

    private func rows(_ name: String) throws -> StoredRows {
        let tensor = try tensor(name)
        let shape = tensor.shape
        let rows = shape.first ?? 1
        let depth = shape.count > 1 ? shape[1] : 1
        let taps = shape.dropFirst(2).reduce(1, *)
        if let delta = deltas[name] {
            return StoredRows(
                delta.merged(into: try tensor.floats(), rows: rows, depth: depth, on: device),
                rows: rows, depth: depth, taps: taps)
        }
        return StoredRows(
            bytes: tensor.bytes, dtype: tensor.dtype, rows: rows, depth: depth, taps: taps,
            owner: tensor)
    }
}
