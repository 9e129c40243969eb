// Part of Inkstone. Licence: see LICENSE.

import VulkanTensors

/// Where the time of a measured part goes on a GPU.
struct NamedProfile {
    /// Name of the part.
    let name: String
    let profile: PassProfile

    /// The form of programs.
    struct Body: Encodable {
        struct Kernel: Encodable {
            let name: String
            let calls: Int
            let seconds: Double
            /// Share of the time of all kernels.
            let share: Double
            /// What is multiplied, the rate, and its share of the peak; absent for other kernels.
            let numbers: String?
            let gops: Double?
            let peakShare: Double?
        }

        let name: String
        /// One run without timestamps.
        let seconds: Double
        let dispatches: Int
        let transfers: Int
        let barriers: Int
        let submissions: Int
        let recordingSecondsPerSubmission: Double
        /// One run with timestamps; absent if the device has none.
        let kernelSeconds: Double?
        let idleSeconds: Double?
        let kernels: [Kernel]
    }

    /// The profile beside the peaks of the device, in operations per second.
    func body(_ peaks: [KernelWork.Numbers: Double]) -> Body {
        let total = profile.kernelSeconds
        return Body(
            name: name, seconds: profile.seconds, dispatches: profile.counts.dispatches,
            transfers: profile.counts.transfers, barriers: profile.counts.barriers,
            submissions: profile.counts.submissions,
            recordingSecondsPerSubmission: profile.recordingSecondsPerSubmission,
            kernelSeconds: profile.idleSeconds.map { _ in total },
            idleSeconds: profile.idleSeconds,
            kernels: profile.lines.map { line in
                let rate =
                    line.operations > 0 && line.seconds > 0
                    ? Double(line.operations) / line.seconds : nil
                let peak = line.numbers.flatMap { peaks[$0] }
                return Body.Kernel(
                    name: line.name, calls: line.calls, seconds: line.seconds,
                    share: total > 0 ? line.seconds / total : 0, numbers: line.numbers?.rawValue,
                    gops: rate.map { $0 / 1e9 },
                    peakShare: rate.flatMap { rate in peak.map { rate / $0 } })
            })
    }
}

extension NamedProfile.Body {
    /// A line of totals, and one for each kernel.
    var lines: [String] {
        let counts =
            "\(dispatches) dispatches, \(transfers) transfers, \(barriers) barriers, \(submissions)"
            + " submissions with \(Self.milliseconds(recordingSecondsPerSubmission)) ms of the processor each"
        guard let kernelSeconds, let idleSeconds else {
            return ["    \(counts); the device has no timestamps"]
        }
        let width = kernels.map(\.name.count).max() ?? 0
        return [
            "    \(Self.milliseconds(kernelSeconds)) ms in kernels and"
                + " \(Self.milliseconds(idleSeconds)) between submissions; \(counts)"
        ]
            + kernels.map { kernel in
                let name = kernel.name + String(repeating: " ", count: width - kernel.name.count)
                return
                    "    \(name)  \(kernel.calls) calls, \(Self.milliseconds(kernel.seconds)) ms,"
                    + " \(Self.percent(kernel.share)) %"
                    + (kernel.gops.map { ", \(Self.rate($0)) GOP/s" } ?? "")
                    + (kernel.peakShare.map { ", \(Self.percent($0)) % of peak" } ?? "")
            }
    }

    private static func milliseconds(_ seconds: Double) -> String {
        "\((seconds * 1e5).rounded() / 100)"
    }

    /// A rate with a decimal where it is low, as on software devices.
    private static func rate(_ rate: Double) -> String {
        rate < 100 ? "\((rate * 10).rounded() / 10)" : "\(Int(rate.rounded()))"
    }

    private static func percent(_ share: Double) -> String { "\((share * 1000).rounded() / 10)" }
}
