// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// A kernel that multiplies on registers alone.
struct PeakKernel {
    let numbers: KernelWork.Numbers
    let kernel: Kernel
    /// What it reads.
    let input: [UInt32]
    let workgroups: Int
    /// Operations of a round of all workgroups.
    let operations: Int
    /// Most rounds for which its sums are exact.
    let mostRounds: Int
    /// What all workgroups count if they compute right.
    let expected: @Sendable (_ rounds: Int) -> UInt32

    private static let threads = 256
    private static let (chains, steps) = (16, 8)

    /// The kernels for the instructions that the backend uses.
    static func all(of backend: VulkanBackend) -> [PeakKernel] {
        // Enough for every card; a processor needs little.
        let groups = backend.device.facts.isSoftware ? 16 : 8192
        let int8 = matrix(.int8, groups, backend) ?? dot(groups)
        return [plain(groups), matrix(.bf16, groups, backend), int8].compactMap(\.self)
    }

    private static func plain(_ groups: Int) -> PeakKernel {
        PeakKernel(
            numbers: .f32, kernel: Kernel("peak_f32"),
            input: [Float(-1), 1].map(\.bitPattern), workgroups: groups,
            operations: 2 * groups * threads * chains * steps, mostRounds: 1 << 24
        ) { _ in UInt32(groups * threads * chains) }
    }

    private static func dot(_ groups: Int) -> PeakKernel {
        // Four small bytes of both signs.
        let factor: UInt32 = 0x02FF_03FE
        return PeakKernel(
            numbers: .int8, kernel: Kernel("peak_int8_dot"),
            input: Array(repeating: factor, count: threads), workgroups: groups,
            operations: 8 * groups * threads * chains * steps, mostRounds: 1 << 16
        ) { rounds in
            var sum: UInt32 = 0
            for chain in 0..<chains {
                var x = Int32(bitPattern: factor) &+ Int32(chain)
                for _ in 0..<(rounds * steps) { x = x &+ dot(Int32(bitPattern: factor), x) }
                sum = sum &+ UInt32(bitPattern: x)
            }
            return sum &* UInt32(truncatingIfNeeded: groups * threads)
        }
    }

    private static func dot(_ a: Int32, _ b: Int32) -> Int32 {
        stride(from: Int32(0), to: 32, by: 8).reduce(0) {
            $0 + Int32(Int8(truncatingIfNeeded: a >> $1)) * Int32(Int8(truncatingIfNeeded: b >> $1))
        }
    }

    /// `nil` if the backend uses no matrix instructions for the precision.
    private static func matrix(
        _ precision: Precision, _ groups: Int, _ backend: VulkanBackend
    ) -> PeakKernel? {
        let facts = backend.device.facts
        guard let tiling = MatrixTiling(precision, .high, on: facts, backend.matrices),
            let fragment = MatrixTiling.fragment(precision, on: facts, backend.matrices)
        else { return nil }
        let (down, across) = (tiling.part.rows / fragment.m, tiling.part.columns / fragment.n)
        let subgroups = tiling.threads / tiling.subgroup
        let isInt8 = precision == .int8
        let elements = (down * fragment.m + across * fragment.n) * fragment.k
        return PeakKernel(
            numbers: isInt8 ? .int8 : .f16,
            kernel: Kernel(
                isInt8 ? "peak_int8_matrix" : "peak_f16_matrix",
                constants: [
                    tiling.threads, tiling.subgroup, subgroups, down, across, fragment.m,
                    fragment.n, fragment.k,
                ].map(UInt32.init), subgroupSize: tiling.subgroup),
            input: isInt8 ? words(bytes: elements) : words(halves: elements), workgroups: groups,
            operations: 2 * groups * subgroups * down * across * fragment.m * fragment.n
                * fragment.k,
            // Products of at most 9 in f32, whose integers are exact up to 2^24.
            mostRounds: (1 << 24) / (9 * fragment.k)
        ) { _ in
            UInt32(
                truncatingIfNeeded: groups * subgroups * down * across * fragment.m * fragment.n)
        }
    }

    /// The integers -3...3, in an order without a pattern.
    private static func small(_ index: Int) -> Int { (index * 7919 >> 3) % 7 - 3 }

    private static func words(bytes count: Int) -> [UInt32] {
        (0..<(count / 4)).map { word in
            (0..<4).reduce(UInt32(0)) {
                $0 | UInt32(UInt8(truncatingIfNeeded: small(4 * word + $1))) << UInt32(8 * $1)
            }
        }
    }

    /// The bits of a small integer in f16.
    private static func half(_ number: Int) -> UInt32 {
        [0, 0x3C00, 0x4000, 0x4200][abs(number)] | (number < 0 ? 0x8000 : 0)
    }

    private static func words(halves count: Int) -> [UInt32] {
        (0..<(count / 2)).map { word in
            half(small(2 * word)) | half(small(2 * word + 1)) << 16
        }
    }
}
