// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// NVIDIA's devices through `libnvidia-ml.so.1`, which is loaded at run time.
///
/// - Source: NVML API reference, sections "Device Queries" and "Initialization and Cleanup".
package final class NVMLDevices: Sendable {
    private typealias Device = UnsafeMutableRawPointer
    private typealias Energy = @convention(c) (Device, UnsafeMutablePointer<UInt64>) -> Int32
    private typealias Memory = @convention(c) (Device, UnsafeMutableRawPointer) -> Int32

    // Unsafe: handles of the library, which are valid until it is shut down and are never written to.
    nonisolated(unsafe) private let devices: [Device]
    private let energy: Energy?
    private let memory: Memory?

    /// Loads the library; `nil` when it is missing or finds no device.
    package init?(library: String = "libnvidia-ml.so.1") {
        guard let handle = dlopen(library, RTLD_NOW | RTLD_LOCAL) else { return nil }
        func symbol<T>(_ name: String, as type: T.Type) -> T? {
            dlsym(handle, name).map { unsafeBitCast($0, to: type) }
        }
        typealias Start = @convention(c) () -> Int32
        typealias Count = @convention(c) (UnsafeMutablePointer<UInt32>) -> Int32
        typealias Find = @convention(c) (UInt32, UnsafeMutablePointer<Device?>) -> Int32
        guard let start = symbol("nvmlInit_v2", as: Start.self),
            let count = symbol("nvmlDeviceGetCount_v2", as: Count.self),
            let find = symbol("nvmlDeviceGetHandleByIndex_v2", as: Find.self), start() == 0
        else { return nil }
        var number: UInt32 = 0
        guard count(&number) == 0 else { return nil }
        devices = (0..<number).compactMap { index in
            var device: Device?
            return find(index, &device) == 0 ? device : nil
        }
        energy = symbol("nvmlDeviceGetTotalEnergyConsumption", as: Energy.self)
        memory = symbol("nvmlDeviceGetMemoryInfo", as: Memory.self)
        guard !devices.isEmpty else { return nil }
    }

    /// Millijoules of each device since its driver was loaded; empty where a device has no counter.
    var millijoules: [Double] {
        guard let energy else { return [] }
        return devices.compactMap { device in
            var value: UInt64 = 0
            return energy(device, &value) == 0 ? Double(value) : nil
        }
    }

    /// Bytes in use on all devices; `nil` when they cannot be read.
    var memoryInUse: Double? {
        guard let memory else { return nil }
        let sizes = devices.compactMap { device -> Double? in
            // nvmlMemory_t: total, free, used.
            var values: [UInt64] = [0, 0, 0]
            let status = values.withUnsafeMutableBytes { bytes in
                bytes.baseAddress.map { memory(device, $0) } ?? 1
            }
            return status == 0 ? Double(values[2]) : nil
        }
        return sizes.isEmpty ? nil : sizes.reduce(0, +)
    }
}
