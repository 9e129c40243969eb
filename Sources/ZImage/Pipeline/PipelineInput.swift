// Part of Inkstone. Licence: see LICENSE.

public import Imaging
public import Parameters

/// The input of a pipeline: sampling parameters, and the pixels and files that they refer to.
///
/// Sampling parameters can be read and set directly: `input.steps` is `input.parameters.steps`.
@dynamicMemberLookup
public struct PipelineInput: Sendable {
    /// The sampling parameters.
    ///
    /// Width and height are multiples of 16; the strength of a source image is 0.6 if none is given.
    public var parameters: SamplingParameters
    /// An image to start from.
    public var source: RGBImage?
    /// White where the image is generated, black where `source` is kept; of any size.
    public var mask: RGBImage?
    /// The files of the parameters' LoRAs, and others, in the order in which they are added.
    public var loras: [LoRASource] = []
    /// ControlNets with their control images, each of which adds its hints.
    public var controls: [ControlSource] = []
    /// Initial noise `[C, height / 8, width / 8]` in place of the seed's.
    package var noise: [Float]?
    /// Whether to record tensors for a parity check.
    package var keepsTrace = false

    /// Creates an input with the given sampling parameters.
    public init(_ parameters: SamplingParameters) {
        self.parameters = parameters
    }

    /// Creates an input for the given prompt and size.
    public init(
        prompt: String, width: Int, height: Int, steps: Int, guidanceScale: Double = 0,
        seed: UInt64 = 0
    ) {
        parameters = SamplingParameters(
            prompt: prompt, size: PixelSize(width: width, height: height), steps: steps)
        parameters.guidanceScale = guidanceScale
        parameters.seed = seed
    }

    /// What a second pass keeps of the source image.
    var keptInSecondPass: Inpainting.Images? {
        guard parameters.secondPass != nil, let source, let mask else { return nil }
        return Inpainting.Images(source: source, mask: mask)
    }

    /// A sampling parameter.
    public subscript<Value>(
        dynamicMember path: WritableKeyPath<SamplingParameters, Value>
    ) -> Value {
        get { parameters[keyPath: path] }
        set { parameters[keyPath: path] = newValue }
    }
}
