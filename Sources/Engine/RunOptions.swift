// Part of Inkstone. Licence: see LICENSE.

package import ZImage

/// Options of parity checks.
package struct RunOptions: Sendable {
    /// Initial noise instead of the seed's.
    package var noise: [Float]?
    /// Called with the tensors of each image.
    package var onTrace: (@Sendable (Trace) -> Void)?
    /// LoRA files in addition to those of the request.
    package var loras: [LoRASource] = []
    /// Whether previews are generated.
    package var previews = true

    package init() {}
}
