// Part of Inkstone. Licence: see LICENSE.

package import Tensors

/// Sizes of a product with matrix instructions: of a workgroup, of a subgroup, and of a fragment.
///
/// Results do not depend on them. They follow from limits, and only a card can show better ones:
///
/// * A thread holds at most 64 sums. With the fragments of both factors and what is loaded ahead, that is up to
///   150 registers: two workgroups of 256 threads fit the registers of every architecture, and nothing
///   spills (`Docs/gpu.md` has the table of RADV).
/// * A step of 64 bytes of depth is two of the longest fragments. A tile of 128x128 needs 20 KiB of shared memory
///   for it, and 4 to 8 for what is written; a device with less gets a smaller tile.
package struct MatrixTiling {
    /// Height of a product, by the rows of its left factor.
    package enum Height: Hashable, CaseIterable, Sendable {
        /// Up to 32 rows, such as modulation and short prompts: more workgroups, each of fewer columns.
        case low
        /// More rows.
        case high

        package init(rows: Int) { self = rows <= 32 ? .low : .high }
    }

    package let subgroup: Int
    package let rows: Int
    package let columns: Int
    /// What a subgroup computes.
    package let part: TileSize
    /// Shared memory of a workgroup.
    package let sharedBytes: Int
    private let depth: Int
    private let fragment: MatrixShape

    /// The sizes for a device; `nil` if it has no instructions for the precision, or too little memory.
    package init?(
        _ precision: Precision, _ height: Height, on device: DeviceFacts, _ use: MatrixUse
    ) {
        guard precision != .f32, let fragment = Self.fragment(precision, on: device, use) else {
            return nil
        }
        let subgroup = Self.subgroup(of: device)
        let depth = precision == .int8 ? 64 : 32
        let sizes = TileSize.choices(height, subgroup: subgroup, on: device)
        // Rows of both factors, with 16 bytes against bank conflicts, and a fragment for each subgroup.
        func bytes(_ tile: TileSize, _ part: TileSize) -> Int {
            (tile.rows + tile.columns) * (depth * precision.bytesPerWeight + 16)
                + 4 * tile.count / part.count * fragment.m * fragment.n
        }
        let found = sizes.first { tile, part in
            let subgroups = tile.count / part.count
            return bytes(tile, part) <= device.sharedMemoryBytes
                && subgroups * subgroup <= device.workgroupThreads
                && part.rows.isMultiple(of: fragment.m)
                && part.columns.isMultiple(of: fragment.n)
        }
        guard let (tile, part) = found, depth.isMultiple(of: fragment.k),
            fragment.n.isMultiple(of: 2)
        else { return nil }
        self.subgroup = subgroup
        (rows, columns) = (tile.rows, tile.columns)
        self.part = part
        sharedBytes = bytes(tile, part)
        self.depth = depth
        self.fragment = fragment
    }

    /// The subgroup size of kernels with matrix instructions.
    static func subgroup(of device: DeviceFacts) -> Int {
        switch device.vendorID {
        // Subgroups of 64 threads hold a fragment in half the registers of subgroups of 32.
        case DeviceFacts.amd where device.subgroupSizes.contains(64): 64
        // Its matrix instructions are as wide as its smallest subgroups: 8 or 16.
        case DeviceFacts.intel: device.subgroupSizes.lowerBound
        default: device.subgroupSize
        }
    }

    /// The fragment of a precision with the most multiply-adds; `nil` if matrices are not used.
    static func fragment(
        _ precision: Precision, on device: DeviceFacts, _ use: MatrixUse
    ) -> MatrixShape? {
        switch use {
        case .never: return nil
        case .fragments(let int8, let f16): return precision == .int8 ? int8 : f16
        case .automatic: if device.isSoftware { return nil }
        }
        let (factor, sum): (MatrixShape.Element, MatrixShape.Element) =
            precision == .int8 ? (.s8, .s32) : (.f16, .f32)
        // Rows are loaded 16 bytes at a time.
        let unit = precision == .int8 ? 16 : 8
        return device.matrixShapes.filter {
            $0.a == factor && $0.b == factor && $0.c == sum && $0.result == sum
                && $0.k.isMultiple(of: unit)
        }.max { ($0.m * $0.n * $0.k, $0.k) < ($1.m * $1.n * $1.k, $1.k) }
    }

    /// Sums of a thread.
    package var sums: Int { part.count / subgroup }
    /// Threads of a workgroup.
    package var threads: Int { rows * columns / part.count * subgroup }

    /// The shader's constants.
    var constants: [UInt32] {
        [
            threads, subgroup, rows, columns, depth, part.rows, part.columns, fragment.m,
            fragment.n, fragment.k,
        ].map(UInt32.init)
    }
}

/// Size of a part of a result.
package struct TileSize: Sendable {
    package let rows: Int
    package let columns: Int

    init(_ rows: Int, _ columns: Int) { (self.rows, self.columns) = (rows, columns) }

    var count: Int { rows * columns }

    /// The sizes of workgroups and of their subgroups, best first.
    static func choices(
        _ height: MatrixTiling.Height, subgroup: Int, on device: DeviceFacts
    ) -> [(tile: TileSize, part: TileSize)] {
        if height == .low {
            let part = TileSize(32, subgroup < 32 ? 16 : 32)
            return [(TileSize(32, 64), part), (TileSize(32, 32), part)]
        }
        // A processor has registers enough, and each subgroup costs it time.
        if device.isSoftware { return [(TileSize(64, 64), TileSize(32, 32))] }
        let (tile, part) =
            switch subgroup {
            case ...8: (TileSize(64, 64), TileSize(32, 16))
            case ...16: (TileSize(128, 64), TileSize(32, 32))
            case ...32: (TileSize(128, 128), TileSize(64, 32))
            default: (TileSize(128, 128), TileSize(64, 64))
            }
        return [tile, TileSize(64, 128), TileSize(64, 64)]
            .filter { $0.count <= tile.count }.map { ($0, part) }
    }
}
