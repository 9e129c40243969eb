// Part of Inkstone. Licence: see LICENSE.

import CKernels

/// Runs the model on the processor, with the kernels of the best instruction set it has.
///
/// One operation at a time: a caller that has several requests puts them into one batch.
public final class CPUBackend: Backend, @unchecked Sendable {
    // Unchecked: the thread pool and the guard slot are touched only inside operations, and callers
    // run one operation at a time (stated above).

    /// Precision of products.
    public let precision: Precision
    /// Threads that share each operation.
    public let threads: Int
    /// Name of the kernels in use, such as `avx512bf16`.
    public var kernelsName: String { String(cString: kernels.pointee.name) }

    let kernels: UnsafePointer<ink_kernels>
    let workers: OpaquePointer
    let pool = BufferPool()
    let guardSlot: UnsafeMutablePointer<Int32>

    /// A backend with its own threads.
    ///
    /// - Parameters:
    ///   - precision: of products.
    ///   - threads: at least 1.
    ///   - name: a variant of the kernels, or `nil` for the best that this processor runs.
    /// - Throws: `BackendError` when the processor lacks the variant, or threads cannot be started.
    public init(precision: Precision, threads: Int, kernels name: String? = nil)
        throws(BackendError)
    {
        self.kernels = try Self.findKernels(name)
        guard let workers = ink_pool_create(Int32(clamping: max(1, threads))) else {
            throw BackendError(message: "could not start \(threads) threads: out of memory.")
        }
        self.precision = precision
        self.workers = workers
        self.threads = Int(ink_pool_threads(workers))
        guardSlot = .allocate(capacity: 1)
        guardSlot.pointee = -1
    }

    /// A backend on the plain reference kernels, for tests.
    package init(referenceFor lanes: Int, precision: Precision) throws(BackendError) {
        guard let workers = ink_pool_create(1) else {
            throw BackendError(message: "could not start a thread: out of memory.")
        }
        self.kernels = ink_kernels_reference(Int32(lanes))
        self.precision = precision
        self.workers = workers
        threads = 1
        guardSlot = .allocate(capacity: 1)
        guardSlot.pointee = -1
    }

    deinit {
        ink_pool_destroy(workers)
        guardSlot.deallocate()
    }

    private static func findKernels(
        _ name: String?
    ) throws(BackendError) -> UnsafePointer<ink_kernels> {
        guard let name else { return ink_kernels_best() }
        guard let found = ink_kernels_named(name) else {
            throw BackendError(
                message: "kernels '\(name)' do not run on this processor; it has"
                    + " \(CPUBackend.availableKernels.joined(separator: ", ")).")
        }
        return found
    }

    /// Names of the variants that this processor runs, fastest first.
    public static var availableKernels: [String] {
        ["avx512bf16", "avx512vnni", "avx512", "avxvnni", "avx2", "portable"]
            .filter { ink_kernels_named($0) != nil }
    }

    /// Whether the best kernels multiply bf16 in hardware.
    public static var hasNativeBF16: Bool { ink_kernels_best().pointee.native_bf16 != 0 }

    /// Whether the best kernels multiply and sum int8 in hardware.
    public static var hasNativeInt8: Bool { ink_kernels_best().pointee.native_int8 != 0 }

    /// int8 for more than a thousand million parameters where the processor has instructions for it,
    /// else bf16 where it has those, else f32.
    public static func bestPrecision(
        parameters: Int, hasInt8: Bool = hasNativeInt8, hasBF16: Bool = hasNativeBF16
    ) -> Precision {
        if hasInt8, parameters > 1_000_000_000 { return .int8 }
        return hasBF16 ? .bf16 : .f32
    }

    /// See `Backend`.
    public var longestInt8Row: Int { Int(INK_INT8_MAX_DEPTH) }

    /// See `Backend`.
    public var sensitivePrecision: Precision {
        guard precision == .int8 else { return precision }
        return kernels.pointee.native_bf16 != 0 ? .bf16 : .f32
    }

    /// f32 values in a vector of the kernels in use.
    package var lanes: Int { Int(kernels.pointee.lanes) }

    /// Operations per second of register-only multiply-adds on all threads.
    package func measurePeak(precision: Precision, seconds: Double = 0.2) -> Double {
        struct Run {
            let spin: @convention(c) (ink_precision, Int) -> Double
            let precision: ink_precision
            let iterations: Int
            var operations: [Double]
        }
        var run = Run(
            spin: kernels.pointee.spin, precision: precision.kernelValue,
            iterations: 2000, operations: Array(repeating: 0, count: threads))
        var best = 0.0
        let clock = ContinuousClock()
        let start = clock.now
        repeat {
            let before = clock.now
            withUnsafeMutablePointer(to: &run) { pointer in
                ink_pool_run(
                    workers, threads,
                    { context, index, _ in
                        guard let context else { return }
                        let run = context.assumingMemoryBound(to: Run.self)
                        run.pointee.operations[index] =
                            run.pointee.spin(run.pointee.precision, run.pointee.iterations)
                    }, pointer)
            }
            best = max(best, run.operations.reduce(0, +) / (clock.now - before).inSeconds)
        } while (clock.now - start).inSeconds < seconds
        return best
    }

    /// Returns memory that no operation uses now to the system.
    public func trim() { pool.trim() }

    // MARK: - Guard

    /// See `Backend`.
    public func takeNonFiniteRow() -> Int? {
        defer { guardSlot.pointee = -1 }
        return guardSlot.pointee < 0 ? nil : Int(guardSlot.pointee)
    }
}

/// Why a backend could not be made.
public struct BackendError: Error, Sendable, CustomStringConvertible {
    /// One sentence: what was asked for, and what there is.
    public let message: String
    /// The message.
    public var description: String { message }
}
