// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Hub
import ModelFiles
import Tensors
import ZImage

/// The result of `inkstone verify`: what was checked and measured, and what is wrong.
///
/// It is made to be sent to others: no path, no name of a user or machine, no prompt but the fixed ones.
struct VerificationReport: Encodable {
    /// What a fault was found in.
    enum Area: String, Encodable {
        case files, configuration, tensors, tokenizer, images, reference
    }

    /// Something that is not as it must be.
    struct Fault: Encodable {
        let area: Area
        /// The file, tensor, text or image.
        let subject: String
        /// What was expected and what was found.
        let text: String
    }

    /// The model, as its configuration describes it.
    struct Model: Encodable {
        let id: String
        let kind: String
        let parameters: Int
        let transformerWidth: Int
        let transformerLayers: Int
        let textEncoderWidth: Int
        let textEncoderLayers: Int
        let latentChannels: Int
        let scheduleShift: Double
    }

    /// The files, compared with a published list or hashed alone.
    struct Files: Encodable {
        /// Owner and name of the published model; `nil` without a list.
        var repository: String?
        var commit: String?
        /// The published files.
        var compared: [PublishedFiles.Comparison] = []
        /// Digests of the files of weights where nothing is published.
        var hashed: [HashedFile] = []
    }

    /// A file that there is nothing to compare with.
    struct HashedFile: Encodable {
        let path: String
        let bytes: Int
        let sha256: String
    }

    /// The tensors of one component.
    struct Component: Encodable {
        let name: String
        let tensors: Int
        let numbers: Int
        let bytes: Int
        /// How the numbers are stored, with the number of tensors, such as `BF16`.
        let storage: [String: Int]
        /// The largest magnitude.
        let largest: Double
    }

    /// The tokenizer.
    struct Tokenizer: Encodable {
        let vocabulary: Int
        /// Whether the vocabulary has the size of the published one, so that its known ids apply.
        let isPublished: Bool
        let examples: Int
        let mismatches: Int
    }

    /// The images of one device in one precision.
    struct Run: Encodable {
        /// `cpu`, or the number of a GPU, such as `vulkan:0`.
        let device: String
        let precision: String
        let kernels: String
        let threads: Int
        let loadSeconds: Double
        var images: [Image] = []
        /// Whether an image has the same bytes in a batch of two; `nil` if it was not compared.
        var isBatchInvariant: Bool?
    }

    /// One image.
    struct Image: Encodable {
        let prompt: Int
        let size: String
        let steps: Int
        let seed: UInt64
        let textSeconds: Double
        /// Median.
        let stepSeconds: Double
        let decodeSeconds: Double
        let totalSeconds: Double
        /// Largest resident memory while it was made, mapped files included; 0 if the system does not say.
        let peakBytes: Int
        /// Memory of the GPU that is allocated when it is complete; `nil` on the processor.
        let deviceBytes: Int?
        let sha256: String
        /// Comparison with the same image of the reference.
        var reference: ReferenceComparison?
    }

    /// The program that the images are compared with.
    struct Reference: Encodable {
        let versions: [String: String]
        let precision: String
    }

    let format = 1
    let version = Engine.version
    let machine = Machine()
    let prompts = VerificationPrompts.all
    var model: Model?
    var files = Files()
    var tensors: [Component] = []
    var tokenizer: Tokenizer?
    var reference: Reference?
    var runs: [Run] = []
    /// What was not checked, and why.
    var notes: [String] = []
    var faults: [Fault] = []

    private enum CodingKeys: CodingKey {
        case format, version, machine, prompts, model, files, tensors, tokenizer, reference, runs,
            notes
        case faults
    }

    mutating func add(_ area: Area, _ subject: String, _ text: String) {
        faults.append(Fault(area: area, subject: subject, text: text))
    }

    /// One object, keys sorted.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

extension VerificationReport.Model {
    /// Describes a model by its configuration.
    ///
    /// - Throws: `CheckpointError`.
    init(_ model: ModelDirectory) throws {
        id = model.manifest.id
        kind = model.kind == .turbo ? "turbo" : "base"
        parameters = try MemoryPlan(model: model, precision: .f32).parameterCount
        transformerWidth = model.transformerConfig.dim
        transformerLayers = model.transformerConfig.layers
        textEncoderWidth = model.textEncoderConfig.hiddenSize
        textEncoderLayers = model.textEncoderConfig.hiddenLayers
        latentChannels = model.autoencoderConfig.latentChannels
        scheduleShift = model.schedulerConfig.shift
    }
}
