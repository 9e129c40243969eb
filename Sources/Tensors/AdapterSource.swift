// Part of Inkstone. Licence: see LICENSE.

/// One adapter's change of a weight matrix.
///
/// `y = x · W` becomes `y + scale * (gain * y + x · down · up + x · fullRank + bias)`; `W` itself is
/// not modified. Output features are numbered across the stacked parts of the matrix.
public struct AdapterSource: Sendable {
    /// A low-rank change of a range of output features.
    public struct LowRank: Sendable {
        /// Changed output features.
        public var outputs: Range<Int>
        /// Rank: rows of `down`.
        public var rank: Int
        /// `[rank, depth]`.
        public var down: [Float]
        /// `[outputs.count, rank]`.
        public var up: [Float]

        /// Creates the change `up · down`.
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
    /// Arrangement of the parts in the matrix.
    public var layout: MatrixSource.Layout
    /// Low-rank terms; terms of the same output feature are summed.
    public var lowRank: [LowRank] = []
    /// One factor per output feature.
    public var gain: [Float]?
    /// Full-rank term, `[outputs, depth]`.
    public var fullRank: [Float]?
    /// One summand per output feature.
    public var bias: [Float]?

    /// Creates an empty change.
    public init(parts: [Int], depth: Int, layout: MatrixSource.Layout) {
        self.parts = parts
        self.depth = depth
        self.layout = layout
    }
}

/// An adapter applied to some rows of a product.
public struct AdapterRun<Device: Backend>: Sendable {
    /// Rows of the product.
    public var rows: Range<Int>
    /// The adapter.
    public var adapter: Device.Adapter
    /// Strength.
    public var scale: Float

    /// Applies an adapter to some rows with the given strength.
    public init(rows: Range<Int>, adapter: Device.Adapter, scale: Float) {
        self.rows = rows
        self.adapter = adapter
        self.scale = scale
    }
}
