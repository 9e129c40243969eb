// Part of Inkstone. Licence: see LICENSE.

/// The peak rates of a device, for dense operands.
///
/// - Source: data sheets; the BF16 figures also follow from units and clocks as derived in
///   `llmc/mfu.h` of karpathy/llm.c.
public struct DevicePeaks: Sendable, Equatable, Codable {
    /// Name of the device.
    public var name: String
    /// Floating point operations a second in BF16 with accumulation in F32.
    public var bf16: Double
    /// The same in FP8; absent when the device does not support it.
    public var fp8: Double?
    /// Memory bandwidth in bytes a second.
    public var bandwidth: Double

    /// Creates the peaks of a device.
    public init(name: String, bf16: Double, fp8: Double? = nil, bandwidth: Double) {
        self.name = name
        self.bf16 = bf16
        self.fp8 = fp8
        self.bandwidth = bandwidth
    }

    /// NVIDIA H100 SXM.
    public static let h100 = DevicePeaks(
        name: "H100-SXM", bf16: 989e12, fp8: 1979e12, bandwidth: 3.35e12)
    /// NVIDIA GeForce RTX 4090.
    public static let rtx4090 = DevicePeaks(
        name: "RTX-4090", bf16: 165e12, fp8: 330e12, bandwidth: 1.008e12)
    /// NVIDIA A100.
    public static let a100 = DevicePeaks(name: "A100", bf16: 312e12, bandwidth: 2.039e12)

    /// The devices known by name.
    public static let all = [h100, a100, rtx4090]

    /// The device of a name, ignoring case; `nil` for an unknown one.
    public static func named(_ name: String) -> DevicePeaks? {
        all.first { $0.name.lowercased() == name.lowercased() }
    }
}
