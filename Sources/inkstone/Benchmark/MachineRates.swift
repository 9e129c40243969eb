// Part of Inkstone. Licence: see LICENSE.

import Engine
import Tensors
import VulkanTensors

/// The peak rates of the device that is measured.
struct MachineRates {
    /// GOP/s of loops on registers alone, by the name of a precision.
    private(set) var peaks: [String: Double] = [:]
    /// 10^9 bytes per second that a copy of memory reads and writes; only of GPUs.
    private(set) var bandwidth: Double?
    /// Operations per second by the numbers that kernels of a GPU multiply.
    private(set) var kernelPeaks: [KernelWork.Numbers: Double] = [:]

    /// Measures the processor or a GPU; what a GPU does not reveal is written to standard error.
    init(of device: some Backend) throws {
        if let cpu = device as? CPUBackend {
            for precision in Precision.allCases {
                peaks[precision.rawValue] = PeakThroughput.measured(on: cpu, precision) / 1e9
            }
        } else if let gpu = device as? VulkanBackend {
            let measured = try MeasuredPeaks(of: gpu)
            measured.faults.forEach { complain($0) }
            for precision in Precision.allCases {
                let name = precision == .bf16 ? "f16-scaled" : precision.rawValue
                peaks[name] = measured.operations(for: precision).map { $0 / 1e9 }
            }
            bandwidth = measured.bandwidth.map { $0 / 1e9 }
            kernelPeaks = measured.operations
        }
    }
}
