// Part of Inkstone. Licence: see LICENSE.

/// What a Vulkan device is and has.
package struct DeviceFacts: Sendable, Equatable {
    /// Kind of device, in the order of preference.
    package enum Kind: Int, Sendable, Comparable {
        case discrete, integrated, virtual, other, software

        package static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }
    }

    /// Number among all devices of this machine, from 0.
    package let index: Int
    /// Name, such as "NVIDIA GeForce RTX 4090".
    package let name: String
    /// PCI vendor, such as 0x10de.
    package let vendorID: UInt32
    /// Vendors whose kernels differ.
    package static let (amd, intel, nvidia): (UInt32, UInt32, UInt32) = (0x1002, 0x8086, 0x10de)
    /// PCI device of the vendor.
    package let deviceID: UInt32
    /// Kind of device.
    package let kind: Kind
    /// Name of the driver, such as "NVIDIA" or "radv".
    package let driverName: String
    /// Version of the driver in its own words.
    package let driverVersion: String
    /// Version of Vulkan, such as "1.3.275".
    package let apiVersion: String
    /// Size of the heap that holds weights and activations, in bytes.
    package let memoryBytes: Int
    /// Whether the driver reports how much memory is free (VK_EXT_memory_budget).
    package let reportsBudget: Bool
    /// Subgroup size of kernels that do not require one.
    package let subgroupSize: Int
    /// Smallest and largest subgroup size that a kernel can require.
    package let subgroupSizes: ClosedRange<Int>
    /// Shared memory of a workgroup in bytes.
    package let sharedMemoryBytes: Int
    /// Most threads of a workgroup.
    package let workgroupThreads: Int
    /// Most workgroups of a dispatch in x, y and z.
    package let dispatchGroups: [Int]
    /// Largest buffer in bytes.
    package let largestBuffer: Int
    /// Whether shaders can calculate in f16.
    package let hasF16: Bool
    /// Whether shaders can calculate with 16-bit integers.
    package let hasInt16: Bool
    /// Whether shaders have dot products of four packed 8-bit integers.
    package let hasInt8Dot: Bool
    /// Whether such a dot product is one instruction.
    package let hasFastInt8Dot: Bool
    /// Products of matrices that subgroups can calculate, without those that saturate; empty if the
    /// device has no VK_KHR_cooperative_matrix.
    package let matrixShapes: [MatrixShape]
    /// Features that the backend requires and the device lacks, by the specification's names.
    package let missing: [String]
    /// Whether it has a queue for transfers beside that of the kernels.
    package let hasTransferQueue: Bool

    /// Creates facts, for tests.
    package init(
        index: Int, name: String, vendorID: UInt32, deviceID: UInt32, kind: Kind,
        driverName: String, driverVersion: String, apiVersion: String, memoryBytes: Int,
        reportsBudget: Bool, subgroupSize: Int, subgroupSizes: ClosedRange<Int>,
        sharedMemoryBytes: Int, workgroupThreads: Int,
        dispatchGroups: [Int], largestBuffer: Int, hasF16: Bool, hasInt16: Bool, hasInt8Dot: Bool,
        hasFastInt8Dot: Bool, matrixShapes: [MatrixShape], missing: [String],
        hasTransferQueue: Bool = false
    ) {
        self.index = index
        self.name = name
        self.vendorID = vendorID
        self.deviceID = deviceID
        self.kind = kind
        self.driverName = driverName
        self.driverVersion = driverVersion
        self.apiVersion = apiVersion
        self.memoryBytes = memoryBytes
        self.reportsBudget = reportsBudget
        self.subgroupSize = subgroupSize
        self.subgroupSizes = subgroupSizes
        self.sharedMemoryBytes = sharedMemoryBytes
        self.workgroupThreads = workgroupThreads
        self.dispatchGroups = dispatchGroups
        self.largestBuffer = largestBuffer
        self.hasF16 = hasF16
        self.hasInt16 = hasInt16
        self.hasInt8Dot = hasInt8Dot
        self.hasFastInt8Dot = hasFastInt8Dot
        self.matrixShapes = matrixShapes
        self.missing = missing
        self.hasTransferQueue = hasTransferQueue
    }

    /// Whether the device is a program on the CPU.
    package var isSoftware: Bool { kind == .software }

    /// Whether the device shares the machine's memory, as integrated and software devices do.
    package var hasUnifiedMemory: Bool { kind == .integrated || kind == .software }

    /// Returns the GPUs among devices: those that the backend can use, and those that lack features.
    package static func gpus(
        among devices: [DeviceFacts]
    ) -> (usable: [DeviceFacts], incomplete: [DeviceFacts]) {
        let gpus = devices.filter { !$0.isSoftware }
        return (gpus.filter(\.missing.isEmpty), gpus.filter { !$0.missing.isEmpty })
    }
}

/// A product `[m, k] · [k, n] + [m, n]` that a subgroup calculates as one operation.
package struct MatrixShape: Sendable, Hashable, CustomStringConvertible {
    /// Type of a matrix' elements.
    package enum Element: String, Sendable {
        case f16, f32, f64, s8, s16, s32, s64, u8, u16, u32, u64
        /// A type of an extension.
        case other
    }

    package let m: Int
    package let n: Int
    package let k: Int
    /// Type of the left factor.
    package let a: Element
    /// Type of the right factor.
    package let b: Element
    /// Type of the summand.
    package let c: Element
    /// Type of the result.
    package let result: Element

    /// Creates a shape, for tests.
    package init(
        m: Int, n: Int, k: Int, a: Element, b: Element, c: Element, result: Element
    ) {
        self.m = m
        self.n = n
        self.k = k
        self.a = a
        self.b = b
        self.c = c
        self.result = result
    }

    /// Such as "16x16x32 s8·s8+s32=s32".
    package var description: String { "\(m)x\(n)x\(k) \(a)·\(b)+\(c)=\(result)" }
}
