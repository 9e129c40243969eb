// Part of Inkstone. Licence: see LICENSE.

public import Imaging
public import Parameters

/// What one image is made from: its parameters, and the pixels and files that they speak of.
///
/// The parameters are read and set as if they were its own: `input.steps` is `input.parameters.steps`.
@dynamicMemberLookup
public struct PipelineInput: Sendable {
    /// What the image is sampled from.
    ///
    /// Both sides of its size are multiples of 16; the strength is 0.6 where there is a source and none
    /// is given.
    public var parameters: SamplingParameters
    /// An image to start from.
    public var source: RGBImage?
    /// White where `source` is sampled again, black where it is kept; of any size.
    public var mask: RGBImage?
    /// The files of the parameters' LoRAs, and others; added beside the weights, in this order.
    public var loras: [LoRASource] = []
    /// Initial noise `[C, height / 8, width / 8]` instead of the seed's.
    package var noise: [Float]?
    /// Whether to keep tensors for a parity check.
    package var keepsTrace = false

    /// An image of the given parameters.
    public init(_ parameters: SamplingParameters) {
        self.parameters = parameters
    }

    /// An image of `prompt`.
    public init(
        prompt: String, width: Int, height: Int, steps: Int, guidanceScale: Double = 0,
        seed: UInt64 = 0
    ) {
        parameters = SamplingParameters(
            prompt: prompt, size: PixelSize(width: width, height: height), steps: steps)
        parameters.guidanceScale = guidanceScale
        parameters.seed = seed
    }

    /// A sampling parameter.
    public subscript<Value>(
        dynamicMember path: WritableKeyPath<SamplingParameters, Value>
    ) -> Value {
        get { parameters[keyPath: path] }
        set { parameters[keyPath: path] = newValue }
    }
}
