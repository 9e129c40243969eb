// Part of Inkstone. Licence: see LICENSE.

public import Tensors

/// Runs the model on a GPU, or on a software device, through Vulkan.
///
/// Operations append dispatches to a recorder and return at once; only `download` and `finish` wait. They are
/// not reentrant: a caller with several requests puts them into one batch. The same device, driver and
/// shaders give the same bytes, alone or in a batch.
public final class VulkanBackend: Backend, @unchecked Sendable {
    // Unchecked: the tables and the recorder are used only inside operations, and callers run one
    // operation at a time (stated above).

    /// Precision of products; bf16 stands for f16 with a power of two for each row, which is more accurate.
    public let precision: Precision
    /// The device in use.
    package let device: VulkanDevice
    private(set) var guardRing: GuardRing
    /// Use of matrix instructions, unless they were found wrong.
    var matrices: MatrixUse { didSet { productKernels = [:] } }
    /// The kernels that were chosen before.
    private var productKernels: [ProductKernel.Choice: ProductKernel] = [:]
    /// What is wrong with the device's matrix instructions, as a clause of a sentence.
    package private(set) var matrixFault: String?
    var indices = IndexCache()
    /// Copies weights that stay in the machine's memory.
    let stream: WeightStream

    /// Opens a device.
    ///
    /// - Throws: `VulkanError` if there is no such device, or it lacks what the kernels need.
    package init(
        _ choice: DeviceChoice, precision: Precision, options: VulkanOptions = VulkanOptions()
    ) throws(VulkanError) {
        device = try VulkanDevice(choice, options: options)
        stream = WeightStream(device)
        self.precision = precision
        matrices = options.matrices
        guardRing = try GuardRing(device)
        try checkMatrices()
    }

    /// Compares the kernels with matrix instructions with the host, and does without them if they are wrong.
    private func checkMatrices() throws(VulkanError) {
        guard precision != .f32 else { return }
        matrixFault = MatrixCheck(self).fault()
        // A driver may also refuse to compile them; what was recorded is dropped then.
        if let failure = device.recorder.takeFailure() {
            if failure.code == .deviceLost { throw failure }
            matrixFault = matrixFault ?? failure.description
            guardRing = try GuardRing(device)
            indices = IndexCache()
        }
        if matrixFault != nil { matrices = .never }
    }

    /// See `Backend`.
    public var precisionName: String { precision == .bf16 ? "f16-scaled" : precision.rawValue }
    /// See `Backend`.
    public var kernelsName: String {
        "vulkan \(device.facts.name)" + (matrixFault == nil ? "" : ", without matrix instructions")
    }
    /// See `Backend`.
    public var deviceName: String { "vulkan:\(device.facts.index)" }
    /// See `Backend`; the thread that records.
    public var threads: Int { 1 }
    /// See `Backend`.
    public var sensitivePrecision: Precision { precision == .int8 ? .bf16 : precision }
    /// See `Backend`.
    public var longestInt8Row: Int { 32768 }

    // MARK: - Progress

    /// See `Backend`: waits until at most two submissions are queued.
    public func pause() {
        device.recorder.submit()
        device.recorder.throttle(2)
    }

    /// See `Backend`.
    public func finish() {
        device.recorder.submit()
        device.recorder.throttle(0)
    }

    /// See `Backend`.
    public func trim() { device.trim() }

    /// See `Backend`.
    public func takeNonFiniteRow() -> Int? { guardRing.take() }

    /// See `Backend`.
    public func nested<Result>(_ body: () throws -> Result) rethrows -> Result {
        guardRing.beginScope()
        defer { guardRing.endScope() }
        return try body()
    }

    /// See `Backend`; operations have no effect from then on.
    public var failure: (any DeviceError)? { device.recorder.failure }

    /// See `Backend`: what the driver allows, and what is unused of the blocks that it has given.
    public var memoryUse: (total: Int, available: Int)? {
        // Such a device has the machine's memory, which other programs use as well.
        guard device.hasOwnMemory else { return nil }
        let (budget, blocks) = (device.memoryBudget, device.memoryBytes)
        return (
            budget.total,
            max(0, budget.total - budget.used) + blocks.allocated - blocks.used
        )
    }

    // MARK: - Recording

    /// Returns memory with unspecified content; without memory the recorder has failed.
    func buffer(bytes: Int) -> DeviceBuffer { device.makeBufferOrFail(bytes: max(4, bytes)) }

    /// Appends a dispatch; a guarded one also writes the open word of the guard.
    func dispatch(
        _ kernel: Kernel, push: PushBytes, groups: (x: Int, y: Int, z: Int),
        reads: [DeviceBuffer?], writes: [DeviceBuffer], isGuarded: Bool = false,
        work: KernelWork? = nil
    ) {
        device.recorder.dispatch(
            kernel, push: push, groups: groups, reads: reads.compactMap { $0?.range },
            writes: writes.map(\.range) + (isGuarded ? [guardRing.range] : []), work: work)
    }

    /// Returns the fastest kernel of a product or a convolution of some rows on the device.
    func kernel(
        _ form: ProductKernel.Form, _ precision: Precision, rows: Int
    ) -> ProductKernel {
        let choice = ProductKernel.Choice(
            form: form, precision: precision, height: MatrixTiling.Height(rows: rows))
        if let known = productKernels[choice] { return known }
        let kernel = ProductKernel(choice, on: device.facts, matrices)
        productKernels[choice] = kernel
        return kernel
    }

    /// Returns a grid of at least `count` workgroups, whose sides devices support.
    func grid(_ count: Int) -> (x: Int, y: Int, z: Int) {
        let x = min(count, 32768)
        return (x, x == 0 ? 0 : (count + x - 1) / x, 1)
    }

    /// Returns the grid of an elementwise kernel: 1024 numbers for each workgroup.
    func elementGrid(_ count: Int) -> (x: Int, y: Int, z: Int) { grid((count + 1023) / 1024) }

    /// Copies elements to the device.
    func upload<Element: BitwiseCopyable>(_ elements: [Element]) -> DeviceBuffer {
        let target = buffer(bytes: elements.count * MemoryLayout<Element>.stride)
        device.recorder.upload(elements, to: target)
        return target
    }
}

/// Elements that the rows of operands and weights are padded to, with zeros.
private let rowAlignment = 32

/// Rounds up to a multiple of the alignment of rows.
func paddedRow(_ count: Int) -> Int {
    (count + rowAlignment - 1) / rowAlignment * rowAlignment
}
