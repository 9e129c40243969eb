// Part of Inkstone. Licence: see LICENSE.

package import Tensors

/// The peak rates of a device, measured with kernels that do nothing else.
package struct MeasuredPeaks: Sendable {
    /// Operations per second on registers alone, two for each multiply-add.
    ///
    /// f16 is present if the device's matrix instructions are used; int8 is those, or else dot products of four bytes.
    package private(set) var operations: [KernelWork.Numbers: Double] = [:]
    /// Bytes per second that a copy of memory reads and writes.
    package private(set) var bandwidth: Double?
    /// What could not be measured, as sentences.
    package private(set) var faults: [String] = []

    /// The peak of a precision's products; those of f16 without matrix instructions are multiplied as f32.
    package func operations(for precision: Precision) -> Double? {
        switch precision {
        case .f32: operations[.f32]
        case .bf16: operations[.f16] ?? operations[.f32]
        case .int8: operations[.int8]
        }
    }

    /// Measures a device, which takes about a second on a graphics card.
    ///
    /// - Throws: The failure of the device.
    package init(of backend: VulkanBackend) throws(VulkanError) {
        for kernel in PeakKernel.all(of: backend) {
            do throws(VulkanError) {
                operations[kernel.numbers] = try PeakRun(backend, kernel).rate()
            } catch {
                try Self.resume(backend, after: error)
                faults.append(error.description)
            }
        }
        do throws(VulkanError) {
            bandwidth = try CopyRun(backend).rate()
        } catch {
            try Self.resume(backend, after: error)
            faults.append(error.description)
        }
    }

    /// Goes on after a kernel that does not compile or a lack of memory, but not without the device.
    private static func resume(
        _ backend: VulkanBackend, after error: VulkanError
    ) throws(VulkanError) {
        guard error.code != .deviceLost else { throw error }
        _ = backend.device.recorder.takeFailure()
    }
}
