// Part of Inkstone. Licence: see LICENSE.

/// The peak rates of a device, for dense operands.
///
/// - Source: data sheets; the BF16 figures also follow from units and clocks as derived in
///   `llmc/mfu.h` of karpathy/llm.c.
public struct DevicePeaks: Sendable, Equatable, Codable {
    /// Name of the device.
    public var name: String
    /// Precision of the operations, such as "BF16".
    public var precision: String
    /// Operations a second in that precision.
    public var operations: Double
    /// The same in FP8; absent when the device does not support it, or it was not measured.
    public var fp8: Double?
    /// Bytes of a weight in that precision.
    public var bytesPerWeight: Double
    /// Memory bandwidth in bytes a second; `nil` if it was not measured.
    public var bandwidth: Double?

    /// Creates the peaks of a device in BF16 with accumulation in F32.
    public init(name: String, bf16: Double, fp8: Double? = nil, bandwidth: Double) {
        self.name = name
        precision = "BF16"
        operations = bf16
        self.fp8 = fp8
        bytesPerWeight = 2
        self.bandwidth = bandwidth
    }

    /// The measured peaks of a device; `nil` if they do not name their precision.
    public init?(_ measured: BenchmarkPeaks) {
        guard let precision = measured.precision,
            let bytes = Self.bytesPerWeight(precision)
        else { return nil }
        name = measured.name ?? "measured processor"
        self.precision = precision.uppercased()
        operations = measured.operations
        bytesPerWeight = bytes
        bandwidth = measured.bandwidth
    }

    /// Bytes of a weight in a precision as servers name it; `nil` for an unknown one.
    static func bytesPerWeight(_ precision: String?) -> Double? {
        switch precision?.lowercased() {
        case "f32": 4
        case "bf16", "f16", "f16-scaled": 2
        case "int8", "fp8": 1
        default: nil
        }
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
