// Part of Inkstone. Licence: see LICENSE.

/// What one adapter changes in a weight matrix, which stays as it is: `y = x · W` becomes
/// `y + scale * (gain * y + x · up · down + x · fullRank + bias)`.
///
/// Output features are counted over the matrix's parts, one below the other.
public struct AdapterSource: Sendable {
    /// Thin matrices that change some neighbouring output features.
    public struct LowRank: Sendable {
        /// Output features.
        public var outputs: Range<Int>
        /// Rows of `down`.
        public var rank: Int
        /// `[rank, depth]`.
        public var down: [Float]
        /// `[outputs.count, rank]`.
        public var up: [Float]

        /// The change `up · down`.
        public init(outputs: Range<Int>, rank: Int, down: [Float], up: [Float]) {
            precondition(up.count == outputs.count * rank, "up [\(outputs.count), \(rank)]")
            self.outputs = outputs
            self.rank = rank
            self.down = down
            self.up = up
        }
    }

    /// Output features of each part of the matrix.
    public var parts: [Int]
    /// Input features.
    public var depth: Int
    /// How the parts became columns of the matrix.
    public var layout: MatrixSource.Layout
    /// Thin changes; those of the same output feature add up.
    public var lowRank: [LowRank] = []
    /// One factor an output feature.
    public var gain: [Float]?
    /// `[outputs, depth]`, for changes that are not thin.
    public var fullRank: [Float]?
    /// One summand an output feature.
    public var bias: [Float]?

    /// A change of nothing.
    public init(parts: [Int], depth: Int, layout: MatrixSource.Layout) {
        self.parts = parts
        self.depth = depth
        self.layout = layout
    }
}

/// Rows of a product that an adapter is for.
public struct AdapterRun<Device: Backend>: Sendable {
    /// Rows of the product.
    public var rows: Range<Int>
    /// What is added.
    public var adapter: Device.Adapter
    /// Strength.
    public var scale: Float

    /// Adds `scale` times an adapter to some rows.
    public init(rows: Range<Int>, adapter: Device.Adapter, scale: Float) {
        self.rows = rows
        self.adapter = adapter
        self.scale = scale
    }
}
