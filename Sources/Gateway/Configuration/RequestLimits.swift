// Part of Inkstone. Licence: see LICENSE.

/// Limits of request bodies.
struct RequestLimits: Sendable {
    /// Bytes of the largest body.
    let bodyBytes: Int
    /// Bytes of the largest body that contains an image.
    let uploadBytes: Int
}

extension GatewayConfiguration {
    /// Limits of request bodies.
    var limits: RequestLimits {
        RequestLimits(bodyBytes: maximumBodyBytes, uploadBytes: maximumUploadBytes)
    }
}
