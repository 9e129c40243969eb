// Part of Inkstone. Licence: see LICENSE.

/// Name and shape of a tensor of a model.
public struct TensorSpec: Sendable, Equatable {
    /// Its name.
    public let name: String
    /// Its dimensions, slowest first.
    public let shape: [Int]

    /// A tensor of the given name and dimensions.
    public init(_ name: String, _ shape: [Int]) {
        self.name = name
        self.shape = shape
    }
}
