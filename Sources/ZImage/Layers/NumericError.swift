// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// A value is not finite: the image would be black or noise.
public struct NumericError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where it was detected, such as `transformer layers.3`.
    public var layer: String
    /// The step, from 1; `nil` outside of the steps.
    public var step: Int?
    /// Index of the sequence in the batch.
    public var sequence: Int

    /// One sentence with what to do.
    public var description: String {
        let place = step.map { "\(layer) at step \($0)" } ?? layer
        return "a value in \(place) is not finite; check the checkpoint and LoRA files, or try"
            + " --precision f32."
    }
}

/// Throws if a norm has read a value that is not finite since the last check.
func checkFinite<Device: Backend>(
    _ device: Device, _ segments: Segments, at layer: @autoclosure () -> String
) throws(NumericError) {
    guard let row = device.takeNonFiniteRow() else { return }
    throw NumericError(layer: layer(), step: nil, sequence: segments.sequence(of: row) ?? 0)
}
