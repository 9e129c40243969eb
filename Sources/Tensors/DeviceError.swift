// Part of Inkstone. Licence: see LICENSE.

/// Why a device computes no more.
public protocol DeviceError: Error, CustomStringConvertible {
    /// Whether it did not have the memory: a smaller request may succeed in a new process.
    var isOutOfMemory: Bool { get }
    /// Whether it was lost, for which the requests are not to blame.
    var isLost: Bool { get }
}
