// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// The peak rates of a device, as `inkstone benchmark kernels --json` prints them.
public struct BenchmarkPeaks: Sendable, Equatable {
    /// Name of the device; `nil` for a processor.
    public let name: String?
    /// Precision of the benchmark.
    public let precision: String?
    /// Operations a second in that precision.
    public let operations: Double
    /// Memory bandwidth in bytes a second, if it was measured.
    public let bandwidth: Double?

    /// The keys of the report.
    private struct Report: Decodable {
        struct Device: Decodable {
            let name: String
        }

        let peak: Double?
        let precision: String?
        let bandwidth: Double?
        let device: Device?

        enum CodingKeys: String, CodingKey {
            case peak = "peak_gops"
            case bandwidth = "bandwidth_gbps"
            case device = "gpu"
            case precision
        }
    }

    /// Reads a report; returns `nil` if it is not one, or has no peak.
    public init?(json: Data) {
        guard let report = try? JSONDecoder().decode(Report.self, from: json),
            let peak = report.peak, peak > 0, peak.isFinite
        else { return nil }
        name = report.device?.name
        precision = report.precision
        operations = peak * 1e9
        bandwidth = report.bandwidth.flatMap { $0 > 0 ? $0 * 1e9 : nil }
    }
}
