// Part of Inkstone. Licence: see LICENSE.

/// What a device can do at best, dense and without sparsity.
///
/// - Source: the data sheets' figures; those for BF16 follow also from units and clocks as
///   `llmc/mfu.h` of karpathy/llm.c derives them.
package struct DevicePeaks: Sendable, Equatable, Codable {
    package var name: String
    /// Floating point operations a second in BF16 with sums in F32.
    package var bf16: Double
    /// The same in FP8; absent where the device has none.
    package var fp8: Double?
    /// Bytes a second from its memory.
    package var bandwidth: Double

    package init(name: String, bf16: Double, fp8: Double? = nil, bandwidth: Double) {
        self.name = name
        self.bf16 = bf16
        self.fp8 = fp8
        self.bandwidth = bandwidth
    }

    package static let h100 = DevicePeaks(
        name: "H100-SXM", bf16: 989e12, fp8: 1979e12, bandwidth: 3.35e12)
    package static let rtx4090 = DevicePeaks(
        name: "RTX-4090", bf16: 165e12, fp8: 330e12, bandwidth: 1.008e12)
    package static let a100 = DevicePeaks(name: "A100", bf16: 312e12, bandwidth: 2.039e12)

    /// The devices that are known by name.
    package static let all = [h100, a100, rtx4090]

    /// The device of a name, whatever its case; `nil` for an unknown one.
    package static func named(_ name: String) -> DevicePeaks? {
        all.first { $0.name.lowercased() == name.lowercased() }
    }
}
