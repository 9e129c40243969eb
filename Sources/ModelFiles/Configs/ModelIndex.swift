// Part of Inkstone. Licence: see LICENSE.

import Basics
public import Foundation

/// The pipeline and components of a model folder, as in `model_index.json`.
public struct ModelIndex: Sendable, Equatable {
    /// The pipeline's class name.
    public var pipeline: String
    /// Class name by component, if the file has one.
    public var componentClasses: [String: String]

    /// Pipelines that are implemented.
    public static let supportedPipelines = [
        "ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline",
    ]

    private static let family = [
        "ZImageControlNetPipeline", "ZImageControlNetInpaintPipeline", "ZImageOmniPipeline",
    ]
    private static let classes = [
        "scheduler": ["FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["Qwen3Model", "Qwen3ForCausalLM"],
        "tokenizer": ["Qwen2Tokenizer", "Qwen2TokenizerFast"],
        "transformer": ["ZImageTransformer2DModel"],
        "vae": ["AutoencoderKL"],
    ]

    /// Creates an index.
    public init(pipeline: String = "ZImagePipeline", componentClasses: [String: String] = [:]) {
        self.pipeline = pipeline
        self.componentClasses = componentClasses
    }

    /// Reads and checks a `model_index.json`.
    ///
    /// - Throws: `CheckpointError` of code `badConfig`, or `unsupported` for pipelines and
    ///   components that are not implemented.
    public init(contentsOf url: URL) throws(CheckpointError) {
        let reader = try ConfigReader(contentsOf: url)
        guard let pipeline = try reader.string("_class_name") else {
            throw reader.bad("_class_name is missing, expected 'ZImagePipeline'")
        }
        guard Self.supportedPipelines.contains(pipeline) else {
            let kind =
                Self.family.contains(pipeline)
                ? "of the Z-Image family, but not supported" : "another kind of model"
            throw CheckpointError(
                code: .unsupported,
                message: "\(reader.source): _class_name is \(pipeline.quoted), which is \(kind),"
                    + " expected \(Self.supportedPipelines.joined(separator: " or ")).",
                remedy: "Use a Z-Image or Z-Image-Turbo folder.")
        }
        self.init(pipeline: pipeline)
        for (component, known) in Self.classes.sorted(by: { $0.key < $1.key }) {
            guard let name = try Self.className(component, reader) else { continue }
            guard known.contains(name) else {
                if let format = ForeignQuantization(className: name) {
                    throw format.error(reader.source, "\(component) is \(name.quoted)")
                }
                throw reader.unsupported(
                    component, .string(name), expected: known.joined(separator: " or "))
            }
            componentClasses[component] = name
        }
        for component in ["siglip", "siglip_processor", "controlnet"]
        where try Self.className(component, reader) != nil {
            try reader.requireAbsent(component)
        }
    }

    /// The second of a `[library, class]` pair, or `nil` for an absent or empty one.
    private static func className(
        _ component: String, _ reader: ConfigReader
    ) throws(CheckpointError) -> String? {
        guard let pair = try reader.array(component, count: 2...2) else { return nil }
        switch pair[1] {
        case .null: return nil
        case .string(let name): return name
        default:
            throw reader.bad(
                component, .array(pair),
                expected: "a library and a class, such as"
                    + " [\"diffusers\", \"AutoencoderKL\"]")
        }
    }
}
