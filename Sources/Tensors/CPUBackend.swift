// Part of Inkstone. Licence: see LICENSE.

import CKernels

/// Runs the model on the CPU, with the kernels of the fastest instruction set that it supports, or those that the
/// environment variable `INKSTONE_KERNELS` names.
///
/// Operations are not reentrant: a caller with several requests puts them into one batch.
public final class CPUBackend: Backend, @unchecked Sendable {
    // Unchecked: the thread pool and the guard slot are used only inside operations, and callers run
    // one operation at a time (stated above).

    /// Precision of products.
    public let precision: Precision
    /// Threads that execute each operation.
    public let threads: Int
    /// Name of the kernels in use, such as `avx512bf16`.
    public var kernelsName: String { String(cString: kernels.pointee.name) }

    /// Whether attention in bf16 has factors in bf16; else they are f32.
    package let attendsInBF16: Bool
    let kernels: UnsafePointer<ink_kernels>
    let threadPool: OpaquePointer
    let pool = BufferPool()
    /// The lowest row that a norm found not to be finite, or -1.
    let guardSlot: UnsafeMutablePointer<Int32>

    /// Creates a backend and starts its threads.
    ///
    /// - Parameters:
    ///   - precision: Precision of products.
    ///   - threads: Number of threads, at least 1.
    ///   - name: A variant of the kernels, or `nil` for the default: see ``defaultKernels``.
    /// - Throws: `BackendError` if the CPU does not support the variant or memory is insufficient.
    public init(precision: Precision, threads: Int, kernels name: String? = nil)
        throws(BackendError)
    {
        self.kernels = try Self.findKernels(name)
        guard let threadPool = ink_pool_create(Int32(clamping: max(1, threads))) else {
            throw BackendError(message: "could not start \(threads) threads: out of memory.")
        }
        attendsInBF16 = kernels.pointee.native_bf16 != 0
        self.precision = precision
        self.threadPool = threadPool
        self.threads = Int(ink_pool_threads(threadPool))
        guardSlot = .allocate(capacity: 1)
        guardSlot.pointee = -1
    }

    /// Creates a backend on the reference kernels with the panels and the attention of another, for tests.
    package init(referenceFor other: CPUBackend, precision: Precision) throws(BackendError) {
        guard let threadPool = ink_pool_create(1) else {
            throw BackendError(message: "could not start a thread: out of memory.")
        }
        self.kernels = ink_kernels_reference(Int32(other.lanes))
        attendsInBF16 = other.attendsInBF16
        self.precision = precision
        self.threadPool = threadPool
        threads = 1
        guardSlot = .allocate(capacity: 1)
        guardSlot.pointee = -1
    }

    deinit {
        ink_pool_destroy(threadPool)
        guardSlot.deallocate()
    }

    private static func findKernels(
        _ name: String?
    ) throws(BackendError) -> UnsafePointer<ink_kernels> {
        guard let name else { return ink_kernels_default() }
        guard let found = ink_kernels_named(name) else {
            throw BackendError(
                message: "kernels '\(name)' do not run on this processor; it has"
                    + " \(CPUBackend.availableKernels.joined(separator: ", ")).")
        }
        return found
    }

    /// The variants that this CPU supports, fastest first; never empty.
    private static var available: [UnsafePointer<ink_kernels>] {
        (0...).lazy.map { ink_kernels_available($0) }.prefix { $0 != nil }.compactMap(\.self)
    }

    /// Names of the kernel variants that this CPU supports, fastest first.
    public static var availableKernels: [String] {
        available.map { String(cString: $0.pointee.name) }
    }

    /// Name of the kernels that the environment variable `INKSTONE_KERNELS` selects if this CPU supports them, else
    /// of the fastest.
    public static var defaultKernels: String { String(cString: ink_kernels_default().pointee.name) }

    /// Whether the default kernels multiply bf16 in hardware.
    public static var hasNativeBF16: Bool { ink_kernels_default().pointee.native_bf16 != 0 }

    /// Returns int8 for more than 10^9 parameters, else bf16 if the default kernels have instructions for it,
    /// else f32.
    ///
    /// A large model needs the least memory in int8, and on every processor it is the fastest: without
    /// instructions for bytes the kernels multiply pairs of 16-bit integers.
    public static func bestPrecision(
        parameters: Int, hasBF16: Bool = hasNativeBF16
    ) -> Precision {
        if parameters > 1_000_000_000 { return .int8 }
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

    /// Measures the multiply-adds per second of all threads without memory traffic, in operations.
    package func measurePeak(precision: Precision, seconds: Double = 0.2) -> Double {
        struct Run {
            let spin: @convention(c) (ink_precision, Int) -> Double
            let precision: ink_precision
            let iterations: Int
            // Memory, not an array: each thread writes its own element.
            let operations: UnsafeMutableBufferPointer<Double>
        }
        let operations = UnsafeMutableBufferPointer<Double>.allocate(capacity: threads)
        operations.initialize(repeating: 0)
        defer { operations.deallocate() }
        var run = Run(
            spin: kernels.pointee.spin, precision: precision.kernelValue,
            iterations: 2000, operations: operations)
        var best = 0.0
        let clock = ContinuousClock()
        let start = clock.now
        repeat {
            let before = clock.now
            withUnsafeMutablePointer(to: &run) { pointer in
                ink_pool_run(
                    threadPool, threads,
                    { context, index, _ in
                        guard let context else { return }
                        let run = context.assumingMemoryBound(to: Run.self)
                        run.pointee.operations[index] =
                            run.pointee.spin(run.pointee.precision, run.pointee.iterations)
                    }, pointer)
            }
            best = max(best, operations.reduce(0, +) / (clock.now - before).inSeconds)
        } while (clock.now - start).inSeconds < seconds
        return best
    }

    /// See `Backend`.
    public func trim() { pool.trim() }

    // MARK: - Guard

    /// See `Backend`.
    public func takeNonFiniteRow() -> Int? {
        defer { guardSlot.pointee = -1 }
        return guardSlot.pointee < 0 ? nil : Int(guardSlot.pointee)
    }
}

/// The reason why a backend could not be created.
public struct BackendError: Error, Sendable, CustomStringConvertible {
    /// One sentence: what was requested and what is available.
    public let message: String
    /// The message.
    public var description: String { message }
}
