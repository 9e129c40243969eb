// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// What generated an image: where kernels and precision are the same, so are the bytes of a request.
public struct ImageOrigin: Sendable, Codable, Hashable {
    /// The device in the words of `--device`: `cpu`, or `vulkan:0`.
    public var device: String
    /// The variant of the kernels, such as `avx512bf16`, or the name of the GPU.
    public var kernels: String
    /// Precision of matrix products.
    public var precision: String

    /// Creates an origin.
    public init(device: String, kernels: String, precision: String) {
        self.device = device
        self.kernels = kernels
        self.precision = precision
    }

    /// The origin of a device's images.
    init(_ device: some Backend) {
        self.init(
            device: device.deviceName, kernels: device.kernelsName, precision: device.precisionName)
    }

    /// Whether another one gives the same bytes.
    public func isAlike(_ other: ImageOrigin) -> Bool {
        kernels == other.kernels && precision == other.precision
    }
}
