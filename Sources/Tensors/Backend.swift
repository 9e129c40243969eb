// Part of Inkstone. Licence: see LICENSE.

/// A device that runs the model: the operations that the model code is written in.
///
/// Operations are coarse, so that a device may fuse what belongs together. All activations are
/// matrices of f32, one token or pixel a row. Products take an `Operand`, which is the same rows in
/// the device's product precision. Every row of a result depends on that row's inputs alone (and,
/// in attention, on its own sequence), in an order that does not change with the batch.
public protocol Backend: AnyObject, Sendable {
    /// f32 activations `[rows, columns]` on the device.
    associatedtype Values: DeviceMatrix
    /// The left side of a product.
    associatedtype Operand: DeviceMatrix
    /// A weight matrix, ready for products.
    associatedtype Weights: Sendable
    /// A vector of f32 parameters.
    associatedtype Vector: Sendable
    /// What an adapter adds to one weight matrix.
    associatedtype Adapter: Sendable

    /// Precision of products.
    var precision: Precision { get }
    /// Precision of what 8 bits would harm or not speed up: convolutions, the products of attention.
    var sensitivePrecision: Precision { get }
    /// Input features that an int8 product may have at most.
    var longestInt8Row: Int { get }

    // MARK: Memory

    /// Matrix of unspecified content.
    func makeValues(rows: Int, columns: Int) -> Values
    /// Copies numbers to the device.
    func upload(_ numbers: [Float], rows: Int, columns: Int) -> Values
    /// Copies numbers from the device, row by row.
    func download(_ values: Values) -> [Float]
    /// Converts weights to the device's form.
    func makeWeights(_ source: MatrixSource, precision: Precision) -> Weights
    /// Name of the form that packed weights have now; weights stored under another are of no use.
    var packedForm: String? { get }
    /// The device's form of weights, for a file to keep; `nil` where it cannot be stored.
    func packed(_ weights: Weights) -> PackedMatrix?
    /// Weights that `packed` described, used where they lie; `nil` if they do not fit the device.
    func makeWeights(_ packed: PackedMatrix) -> Weights?
    /// Converts what an adapter changes in weights of the given precision.
    func makeAdapter(_ source: AdapterSource, precision: Precision) -> Adapter
    /// Memory that an adapter takes.
    func bytes(of adapter: Adapter) -> Int
    /// Copies parameters to the device.
    func makeVector(_ numbers: [Float]) -> Vector
    /// Copies rows `range` of `source` to the rows of `target` from `row` on.
    func copyRows(_ range: Range<Int>, of source: Values, to target: Values, at row: Int)

    // MARK: Products

    /// Converts activations for a product of the given precision.
    func operand(_ x: Values, precision: Precision) -> Operand
    /// `a · weights + adapters + bias (+ residual)`; adapters add to the rows that they name, in order.
    func product(
        _ a: Operand, _ weights: Weights, adapters: [AdapterRun<Self>], adding residual: Values?
    ) -> Values
    /// `silu(a · gate) * (a · up)` for weights of layout `.gated`, adapters added before `silu`.
    func swiglu(_ a: Operand, _ weights: Weights, adapters: [AdapterRun<Self>]) -> Operand
    /// Convolution of a picture `[height * width, channels]`, which is normed first if asked for.
    ///
    /// With `reusing`, the result may take the memory of `residual`, or of `input` where there is
    /// none: that one is not to be used any more.
    func convolve(
        _ input: Values, norm: GroupNorm<Self>?, _ weights: Weights,
        geometry: ConvolutionGeometry, adding residual: Values?, reusing: Bool
    ) -> Values
    /// Softmax attention within each sequence, for the first tokens of each: as many as its range in
    /// `queries` has, which is also where their results go. Causal attention is for all tokens.
    func attention(
        _ qkv: Values, _ shape: AttentionShape, segments: Segments, queries: Segments
    ) -> Operand

    // MARK: Norms and activations

    /// RMS-normalises each head of columns `columns` in place, then rotates it by its position.
    func normalizeHeads(
        _ x: Values, columns: Range<Int>, weight: Vector, epsilon: Float, rotary: RotaryTable<Self>)
    /// Norm of each row times `weight` times `1 + scale` of the row's sequence.
    func norm(
        _ x: Values, kind: NormKind, weight: Vector?, epsilon: Float,
        scale: ModulationSlice<Self>?, segments: Segments, precision: Precision
    ) -> Operand
    /// `x += gate of the row's sequence * rms(y) * weight`.
    func addNorm(
        _ y: Values, to x: Values, weight: Vector, epsilon: Float,
        gate: ModulationSlice<Self>?, segments: Segments)
    /// Group norm over a picture `[pixels, channels]`.
    func groupNorm(_ x: Values, _ norm: GroupNorm<Self>, precision: Precision) -> Operand
    /// `x / (1 + e^-x)` in place.
    func silu(_ x: Values)
    /// 0 in place of negative numbers.
    func relu(_ x: Values)
    /// `limit * tanh(x / limit)` in place.
    func tanhLimit(_ x: Values, limit: Float)
    /// Hyperbolic tangent of some columns in place.
    func tanh(_ x: Values, columns: Range<Int>)

    // MARK: Guard

    /// The lowest row that a norm found not to be finite since the last call, if any.
    func takeNonFiniteRow() -> Int?
}

/// Rows and columns of something on a device.
public protocol DeviceMatrix: Sendable {
    /// Tokens or pixels.
    var rows: Int { get }
    /// Features or channels.
    var columns: Int { get }
}

/// Which mean a norm removes.
public enum NormKind: Sendable {
    /// Divides by the root of the mean square.
    case rms
    /// Removes the mean, then divides by the standard deviation.
    case layer
}

extension Backend {
    /// `a · weights + bias (+ residual)`.
    public func product(_ a: Operand, _ weights: Weights, adding residual: Values?) -> Values {
        product(a, weights, adapters: [], adding: residual)
    }

    /// `silu(a · gate) * (a · up)` for weights of layout `.gated`.
    public func swiglu(_ a: Operand, _ weights: Weights) -> Operand {
        swiglu(a, weights, adapters: [])
    }

    /// Softmax attention within each sequence.
    public func attention(
        _ qkv: Values, _ shape: AttentionShape, segments: Segments
    ) -> Operand {
        attention(qkv, shape, segments: segments, queries: segments)
    }
}

/// A group norm over all pixels of a picture, and SiLU after it if asked for.
public struct GroupNorm<Device: Backend>: Sendable {
    /// Groups of neighbouring channels that are normed together.
    public let groups: Int
    /// One factor a channel.
    public let weight: Device.Vector
    /// One summand a channel.
    public let bias: Device.Vector
    /// Added to the variance.
    public let epsilon: Float
    /// Whether SiLU follows.
    public let silu: Bool

    /// Describes a norm.
    public init(
        groups: Int, weight: Device.Vector, bias: Device.Vector, epsilon: Float, silu: Bool
    ) {
        self.groups = groups
        self.weight = weight
        self.bias = bias
        self.epsilon = epsilon
        self.silu = silu
    }
}

/// Columns of a matrix with one row a sequence, such as one of a block's four modulations.
public struct ModulationSlice<Device: Backend>: Sendable {
    /// `[sequences, ..]`, or one row for all sequences.
    public let values: Device.Values
    /// First column.
    public let column: Int

    /// The columns of `values` from `column` on.
    public init(_ values: Device.Values, column: Int) {
        self.values = values
        self.column = column
    }
}

/// Cosines and sines of each token's rotation.
public struct RotaryTable<Device: Backend>: Sendable {
    /// Which elements of a head form a pair.
    public enum Pairing: Sendable {
        /// Elements `2i` and `2i + 1`.
        case adjacent
        /// Elements `i` and `i + headDim / 2`.
        case halves
    }

    /// `[tokens, headDim / 2]`.
    public let cosines: Device.Values
    /// `[tokens, headDim / 2]`.
    public let sines: Device.Values
    /// Which elements form a pair.
    public let pairing: Pairing

    /// A table of the given cosines and sines.
    public init(cosines: Device.Values, sines: Device.Values, pairing: Pairing) {
        self.cosines = cosines
        self.sines = sines
        self.pairing = pairing
    }
}

/// Heads of an attention layer; a row of its input is `[queries | keys | values]`.
public struct AttentionShape: Sendable, Equatable {
    /// Query heads.
    public var heads: Int
    /// Key and value heads; each serves `heads / keyValueHeads` query heads.
    public var keyValueHeads: Int
    /// Width of a head.
    public var headDim: Int
    /// Whether a token sees only itself and what came before.
    public var causal: Bool
    /// Precision of the result and, if not int8, of the two products; int8 leaves these to the
    /// backend's `sensitivePrecision`.
    public var precision: Precision

    /// Describes a layer.
    public init(
        heads: Int, keyValueHeads: Int, headDim: Int, causal: Bool, precision: Precision
    ) {
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headDim = headDim
        self.causal = causal
        self.precision = precision
    }
}

/// Where a convolution reads.
public struct ConvolutionGeometry: Sendable, Equatable {
    /// Rows of the input picture.
    public var height: Int
    /// Columns of the input picture.
    public var width: Int
    /// Side of the kernel, 1 or 3.
    public var kernel: Int
    /// Distance between outputs, 1 or 2.
    public var stride: Int
    /// Zeros above and to the left.
    public var padding: Int
    /// Whether the input is enlarged twofold by nearest neighbour first.
    public var upsample: Bool

    /// A convolution of a picture that keeps its size.
    public init(
        height: Int, width: Int, kernel: Int = 3, stride: Int = 1, padding: Int? = nil,
        upsample: Bool = false
    ) {
        self.height = height
        self.width = width
        self.kernel = kernel
        self.stride = stride
        self.padding = padding ?? kernel / 2
        self.upsample = upsample
    }

    /// Rows of the result.
    public var outputHeight: Int { (upsample ? height * 2 : height) / stride }
    /// Columns of the result.
    public var outputWidth: Int { (upsample ? width * 2 : width) / stride }
}
