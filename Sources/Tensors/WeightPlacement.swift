// Part of Inkstone. Licence: see LICENSE.

/// Where a device keeps a weight matrix between its uses.
public enum WeightPlacement: Sendable {
    /// In the device's memory.
    case device
    /// In the machine's memory, from where it is copied to the device for each product.
    case host
}

extension Backend {
    /// Packs weights that stay in the device's memory.
    public func makeWeights(_ source: MatrixSource, precision: Precision) -> Weights {
        makeWeights(source, precision: precision, placement: .device)
    }
}
