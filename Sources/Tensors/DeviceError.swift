// Part of Inkstone. Licence: see LICENSE.

/// Why results of a device are invalid.
public protocol DeviceError: Error, CustomStringConvertible {
    /// Whether the device did not have the memory: a smaller request, or a later one, may succeed.
    var isOutOfMemory: Bool { get }
}
