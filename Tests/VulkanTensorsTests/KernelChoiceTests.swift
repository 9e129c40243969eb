// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Tensors
import Testing
import VulkanTensors

/// The kernels of devices that this machine does not have.
@Suite("Kernels fit a device's limits")
struct KernelChoiceTests {
    /// A card with the matrix shapes of its architecture.
    struct Card: Sendable, CustomStringConvertible {
        let description: String
        let vendor: UInt32
        let subgroup: Int
        let sizes: ClosedRange<Int>
        let fragments: [(m: Int, n: Int, int8: Int, f16: Int)]
        let tile: [Int]

        func facts(shared: Int = 48 << 10, threads: Int = 1024) -> DeviceFacts {
            let shapes = fragments.flatMap { m, n, int8, f16 in
                [
                    MatrixShape(m: m, n: n, k: int8, a: .s8, b: .s8, c: .s32, result: .s32),
                    MatrixShape(m: m, n: n, k: f16, a: .f16, b: .f16, c: .f32, result: .f32),
                    MatrixShape(m: m, n: n, k: f16, a: .f16, b: .f16, c: .f16, result: .f16),
                ]
            }
            return DeviceFacts(
                index: 0, name: description, vendorID: vendor, deviceID: 1, kind: .discrete,
                driverName: "driver", driverVersion: "1", apiVersion: "1.3.0",
                memoryBytes: 1 << 33, reportsBudget: true, subgroupSize: subgroup,
                subgroupSizes: sizes, sharedMemoryBytes: shared, workgroupThreads: threads,
                dispatchGroups: [65535, 65535, 65535], largestBuffer: 1 << 32, hasF16: true,
                hasInt16: true, hasInt8Dot: true, hasFastInt8Dot: true, matrixShapes: shapes,
                missing: [])
        }
    }

    static let cards = [
        Card(
            description: "NVIDIA", vendor: 0x10DE, subgroup: 32, sizes: 32...32,
            fragments: [(16, 16, 32, 16), (16, 8, 32, 16)], tile: [128, 128, 256]),
        Card(
            description: "AMD", vendor: 0x1002, subgroup: 64, sizes: 32...64,
            fragments: [(16, 16, 16, 16)], tile: [128, 128, 256]),
        Card(
            description: "AMD that reports subgroups of 32", vendor: 0x1002, subgroup: 32,
            sizes: 32...64, fragments: [(16, 16, 16, 16)], tile: [128, 128, 256]),
        Card(
            description: "Intel Xe2", vendor: 0x8086, subgroup: 32, sizes: 16...32,
            fragments: [(8, 16, 32, 16)], tile: [128, 64, 128]),
        Card(
            description: "Intel Arc A", vendor: 0x8086, subgroup: 32, sizes: 8...32,
            fragments: [(8, 8, 32, 16)], tile: [64, 64, 64]),
    ]

    @Test("the tile of each architecture, with at most 64 sums a thread", arguments: cards)
    func tiles(_ card: Card) throws {
        let facts = card.facts()
        for precision in [Precision.int8, .bf16] {
            let high = try #require(MatrixTiling(precision, .high, on: facts, .automatic))
            #expect([high.rows, high.columns, high.threads] == card.tile)
            for height in MatrixTiling.Height.allCases {
                let tiling = try #require(MatrixTiling(precision, height, on: facts, .automatic))
                #expect(tiling.sums <= 64)
                #expect(tiling.sharedBytes <= 32 << 10)
                #expect(tiling.rows.isMultiple(of: tiling.part.rows))
                #expect(tiling.columns.isMultiple(of: tiling.part.columns))
                #expect(facts.subgroupSizes.contains(tiling.subgroup))
            }
        }
        #expect(MatrixTiling(.f32, .high, on: facts, .automatic) == nil)
        #expect(MatrixTiling(.int8, .high, on: facts, .never) == nil)
    }

    @Test("a device with less shared memory, or fewer threads, has smaller tiles", arguments: cards)
    func limits(_ card: Card) throws {
        for (shared, threads) in [(16 << 10, 1024), (48 << 10, 128)] {
            let facts = card.facts(shared: shared, threads: threads)
            let tiling = try #require(MatrixTiling(.int8, .high, on: facts, .automatic))
            #expect(tiling.sharedBytes <= shared && tiling.threads <= threads)
            #expect(tiling.rows * tiling.columns <= 128 * 64)
        }
        #expect(MatrixTiling(.int8, .high, on: card.facts(shared: 4 << 10), .automatic) == nil)
    }

    @Test("attention has matrix instructions only if a workgroup's memory is enough")
    func attention() {
        func kernels(_ shared: Int, _ headDim: Int) -> [[UInt32]] {
            Kernel.all(on: Self.cards[0].facts(shared: shared), headDims: [headDim])
                .filter { $0.shader == "attention_f16_matrix" }.map(\.constants)
        }
        // Threads, subgroup, subgroups of a workgroup, keys, width.
        #expect(kernels(48 << 10, 128).map { Array($0.prefix(5)) } == [[128, 32, 4, 32, 128]])
        #expect(kernels(16 << 10, 128).map { Array($0.prefix(5)) } == [[32, 32, 1, 32, 128]])
        #expect(kernels(8 << 10, 128).isEmpty)
        #expect(kernels(48 << 10, 272).isEmpty)
        #expect(kernels(48 << 10, 24).isEmpty)
    }

    @Test("the list of kernels has every shader of the program but those that measure peaks")
    func list() {
        let kernels = Kernel.all(on: Self.cards[0].facts(), headDims: [33, 128])
        #expect(
            Set(kernels.map(\.shader)) == Set(ShaderCode.names.filter { !$0.hasPrefix("peak_") }))
        #expect(Set(kernels).count == kernels.count)
    }

    /// The shapes of AMD's matrix instructions.
    private static let fragments = MatrixUse.fragments(
        int8: MatrixShape(m: 16, n: 16, k: 16, a: .s8, b: .s8, c: .s32, result: .s32),
        f16: MatrixShape(m: 16, n: 16, k: 16, a: .f16, b: .f16, c: .f32, result: .f32))

    @Test(
        "what a driver reports of each kernel",
        .enabled(
            if: ProcessInfo.processInfo.environment["INKSTONE_KERNEL_STATISTICS"] == "1",
            "only for Benchmarks/radv_registers.py"))
    func statistics() throws {
        let device = try KernelCompiler(.number(0))
        // RADV 25.0 compiles matrices for RDNA4, but does not list them.
        let listsNone = device.facts.matrixShapes.isEmpty && device.facts.name.contains("GFX12")
        let matrices = listsNone ? Self.fragments : .automatic
        for kernel in Kernel.all(on: device.facts, matrices, headDims: [64, 128, 192, 512]) {
            let statistics = try device.statistics(of: kernel)
            #expect(!statistics.isEmpty, "\(kernel.shader)")
            let constants = kernel.constants.map(String.init).joined(separator: ",")
            for (name, value) in statistics.sorted(by: { $0.key < $1.key }) {
                print("KERNEL", kernel.shader, constants, name, value, separator: "\t")
            }
        }
    }
}
