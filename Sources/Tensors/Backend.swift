// Part of Inkstone. Licence: see LICENSE.

/// The operations that model code is written in, implemented by each device.
///
/// Operations are coarse, so that a device can fuse them. Activations are f32 matrices, one token or
/// pixel per row. Products take an `Operand`: the same rows in the product's precision. Each row of a
/// result depends only on its own inputs (in attention, on its own sequence), in an order of summation
/// that is independent of the batch.
public protocol Backend: AnyObject, Sendable {
    /// f32 activations `[rows, columns]` on the device.
    associatedtype Values: DeviceMatrix
    /// Left-hand factor of a product.
    associatedtype Operand: DeviceMatrix
    /// A packed weight matrix.
    associatedtype Weights: Sendable
    /// A vector of f32 parameters.
    associatedtype Vector: Sendable
    /// An adapter's packed change of one weight matrix.
    associatedtype Adapter: Sendable

    /// Name of the kernels in use, such as `avx512bf16`.
    var kernelsName: String { get }
    /// The device in the words of `--device`: `cpu`, or `vulkan:0`.
    var deviceName: String { get }
    /// Threads of the processor that execute each operation.
    var threads: Int { get }
    /// Precision of products.
    var precision: Precision { get }
    /// Name of the products' factors, such as `bf16`, or `f16-scaled` on a device that has f16 in its place.
    var precisionName: String { get }
    /// Precision of operations that stay above 8 bits: convolutions and the products of attention.
    var sensitivePrecision: Precision { get }
    /// Most input features of an int8 product.
    var longestInt8Row: Int { get }

    // MARK: Memory

    /// Allocates a matrix with unspecified content.
    func makeValues(rows: Int, columns: Int) -> Values
    /// Copies values to the device.
    func upload(_ numbers: [Float], rows: Int, columns: Int) -> Values
    /// Copies values from the device, in row-major order.
    func download(_ values: Values) -> [Float]
    /// Packs weights for products on the device; those of convolutions must be placed on it.
    ///
    /// The placement has no effect on a device that shares the machine's memory, nor on any result.
    func makeWeights(
        _ source: MatrixSource, precision: Precision, placement: WeightPlacement
    ) -> Weights
    /// Name of the current format of packed weights; weights stored in another format cannot be used.
    var packedForm: String? { get }
    /// Returns packed weights in a form that can be stored in a file, or `nil` if there is none.
    func packed(_ weights: Weights) -> PackedMatrix?
    /// Whether weights use stored memory in place, instead of a copy of it.
    var mapsPackedWeights: Bool { get }
    /// Returns stored weights, or `nil` if they do not fit the device.
    ///
    /// The placement is as for weights that are packed.
    func makeWeights(_ packed: PackedMatrix, placement: WeightPlacement) -> Weights?
    /// Packs an adapter for weights of the given precision.
    func makeAdapter(_ source: AdapterSource, precision: Precision) -> Adapter
    /// Returns the memory that an adapter occupies.
    func bytes(of adapter: Adapter) -> Int
    /// Copies parameters to the device.
    func makeVector(_ numbers: [Float]) -> Vector
    /// Copies rows `range` of `source` to `target`, starting at `row`.
    func copyRows(_ range: Range<Int>, of source: Values, to target: Values, at row: Int)
    /// Adds rows `range` of `source`, times `scale`, to those of `target` from `row` on.
    ///
    /// The two must not be the same matrix.
    func addRows(
        _ range: Range<Int>, of source: Values, scale: Float, to target: Values, at row: Int)
    /// Returns unused memory to the system.
    func trim()

    // MARK: Products

    /// Converts activations for a product of the given precision.
    func operand(_ x: Values, precision: Precision) -> Operand
    /// Returns `a · weights + adapters + bias (+ residual)`; adapters are applied in order.
    func product(
        _ a: Operand, _ weights: Weights, adapters: [AdapterRun<Self>], adding residual: Values?
    ) -> Values
    /// Returns `silu(a · gate) * (a · up)` for weights of layout `.gated`; adapters are applied to both
    /// products.
    func swiglu(_ a: Operand, _ weights: Weights, adapters: [AdapterRun<Self>]) -> Operand
    /// Returns the convolution of an image `[height * width, channels]`, normalised first if `norm` is
    /// given.
    ///
    /// With `reusing`, the result may take the memory of `residual`, or of `input` if that is `nil`;
    /// the caller must not use it afterwards.
    func convolve(
        _ input: Values, norm: GroupNorm<Self>?, _ weights: Weights,
        geometry: ConvolutionGeometry, adding residual: Values?, reusing: Bool
    ) -> Values
    /// Returns softmax attention within each sequence. The queries are the first tokens of each
    /// sequence, as many as its range in `queries`, which are also the rows of the result. Causal
    /// attention requires all tokens as queries.
    func attention(
        _ qkv: Values, _ shape: AttentionShape, segments: Segments, queries: Segments
    ) -> Operand

    // MARK: Norms and activations

    /// Applies RMS norm to each head of `columns` in place, then rotary position embedding.
    func normalizeHeads(
        _ x: Values, columns: Range<Int>, weight: Vector, epsilon: Float, rotary: RotaryTable<Self>)
    /// Returns the norm of each row times `weight` times `1 + scale` of the row's sequence.
    func norm(
        _ x: Values, kind: NormKind, weight: Vector?, epsilon: Float,
        scale: ModulationSlice<Self>?, segments: Segments, precision: Precision
    ) -> Operand
    /// Adds `gate * rmsNorm(y) * weight` to `x`, with the gate of the row's sequence.
    func addNorm(
        _ y: Values, to x: Values, weight: Vector, epsilon: Float,
        gate: ModulationSlice<Self>?, segments: Segments)
    /// Returns the group norm of an image `[pixels, channels]`.
    func groupNorm(_ x: Values, _ norm: GroupNorm<Self>, precision: Precision) -> Operand
    /// Applies `x / (1 + e^-x)` in place.
    func silu(_ x: Values)
    /// Replaces negative values by 0; NaN propagates.
    func relu(_ x: Values)
    /// Applies `limit * tanh(x / limit)` in place.
    func tanhLimit(_ x: Values, limit: Float)
    /// Applies the hyperbolic tangent to some columns in place.
    func tanh(_ x: Values, columns: Range<Int>)

    // MARK: Progress

    /// Returns the lowest row in which a norm found a value that is not finite since the last call.
    ///
    /// A device that runs behind its caller may report a row at a later call: the call after a `download`
    /// reports all that were found before it.
    func takeNonFiniteRow() -> Int?
    /// Starts what was recorded so far, and waits until the device is not far behind its caller.
    func pause()
    /// Waits until all operations have ended.
    func finish()
    /// Runs another pass between two layers of the current one; its checks report only its own rows.
    func nested<Result>(_ body: () throws -> Result) rethrows -> Result
    /// Why the device computes no more, such as memory that it did not have: all results since then are invalid.
    var failure: (any DeviceError)? { get }
    /// Bytes of the device's memory that the process may use, and those of them that are free; `nil` if the
    /// device shares the machine's memory. Any thread can ask.
    var memoryUse: (total: Int, available: Int)? { get }
}

/// A matrix on a device.
public protocol DeviceMatrix: Sendable {
    /// Tokens or pixels.
    var rows: Int { get }
    /// Features or channels.
    var columns: Int { get }
}

/// Kind of norm.
public enum NormKind: Sendable {
    /// Divides by the root mean square.
    case rms
    /// Subtracts the mean, then divides by the standard deviation.
    case layer
}

/// Defaults for devices whose operations have ended when they return, and cannot fail.
extension Backend {
    /// See `Backend`.
    public var precisionName: String { precision.rawValue }
    /// See `Backend`.
    public var deviceName: String { "cpu" }
    /// See `Backend`.
    public func pause() {}
    /// See `Backend`.
    public func finish() {}
    /// See `Backend`.
    public func nested<Result>(_ body: () throws -> Result) rethrows -> Result { try body() }
    /// See `Backend`.
    public var failure: (any DeviceError)? { nil }
    /// See `Backend`.
    public var memoryUse: (total: Int, available: Int)? { nil }
    /// Free bytes of the device's memory; `nil` if it shares the machine's memory.
    public var availableBytes: Int? { memoryUse?.available }
}

extension Backend {
    /// Returns `a · weights + bias (+ residual)`.
    public func product(_ a: Operand, _ weights: Weights, adding residual: Values?) -> Values {
        product(a, weights, adapters: [], adding: residual)
    }

    /// Returns `silu(a · gate) * (a · up)` for weights of layout `.gated`.
    public func swiglu(_ a: Operand, _ weights: Weights) -> Operand {
        swiglu(a, weights, adapters: [])
    }

    /// Returns softmax attention within each sequence, with all tokens as queries.
    public func attention(
        _ qkv: Values, _ shape: AttentionShape, segments: Segments
    ) -> Operand {
        attention(qkv, shape, segments: segments, queries: segments)
    }
}

/// Group norm over all pixels of an image, with optional SiLU.
public struct GroupNorm<Device: Backend>: Sendable {
    /// Number of groups of adjacent channels.
    public let groups: Int
    /// One factor per channel.
    public let weight: Device.Vector
    /// One summand per channel.
    public let bias: Device.Vector
    /// Added to the variance.
    public let epsilon: Float
    /// Whether SiLU follows.
    public let silu: Bool

    /// Creates a group norm.
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

/// Columns of a matrix with one row per sequence, such as one of a block's four modulations.
public struct ModulationSlice<Device: Backend>: Sendable {
    /// `[sequences, ..]`, or one row for all sequences.
    public let values: Device.Values
    /// First column.
    public let column: Int

    /// Refers to the columns of `values` from `column` on.
    public init(_ values: Device.Values, column: Int) {
        self.values = values
        self.column = column
    }
}

/// Cosines and sines of the rotary position embedding, one row per token.
public struct RotaryTable<Device: Backend>: Sendable {
    /// Pairing of a head's elements.
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
    /// Pairing of a head's elements.
    public let pairing: Pairing

    /// Creates a table from cosines and sines.
    public init(cosines: Device.Values, sines: Device.Values, pairing: Pairing) {
        self.cosines = cosines
        self.sines = sines
        self.pairing = pairing
    }
}

/// Dimensions of an attention layer, whose input rows are `[queries | keys | values]`.
public struct AttentionShape: Sendable, Equatable {
    /// Query heads.
    public var heads: Int
    /// Key and value heads; each serves `heads / keyValueHeads` query heads.
    public var keyValueHeads: Int
    /// Features per head.
    public var headDim: Int
    /// Whether a token attends only to itself and earlier tokens.
    public var causal: Bool
    /// Precision of the result and of the two products; with int8, the products use the backend's
    /// `sensitivePrecision`.
    public var precision: Precision

    /// Creates the dimensions of a layer.
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

/// Geometry of a convolution.
public struct ConvolutionGeometry: Sendable, Equatable {
    /// Height of the input image.
    public var height: Int
    /// Width of the input image.
    public var width: Int
    /// Height and width of the kernel, 1 or 3.
    public var kernel: Int
    /// Stride, 1 or 2.
    public var stride: Int
    /// Zero padding at the top and left.
    public var padding: Int
    /// Whether the input is first upsampled by 2, nearest neighbour.
    public var upsample: Bool

    /// Creates a geometry; the default padding preserves the image size.
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

    /// Height of the result.
    public var outputHeight: Int { (upsample ? height * 2 : height) / stride }
    /// Width of the result.
    public var outputWidth: Int { (upsample ? width * 2 : width) / stride }
}
