// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles

/// The tensors of the reference's images, as `reference_images.py` writes them.
///
/// A tensor is called `IMAGE/TENSOR`. The metadata has the settings of each image, so that other settings are not
/// taken for a fault.
struct ReferenceTensors {
    /// What the reference computes in, such as `float32`.
    let precision: String
    /// Versions of its libraries, by name.
    let versions: [String: String]

    private let file: SafetensorsFile

    /// Opens a file.
    ///
    /// - Throws: `CheckpointError`, or `CommandError` for a file of something else.
    init(_ url: URL) throws {
        let file = try SafetensorsFile(url: url)
        guard file.metadata["format"] == "inkstone-reference",
            let precision = file.metadata["precision"]
        else {
            throw CommandError(
                .badFile,
                "'\(url.path)' has no images of the reference, expected a file that"
                    + " --keep-reference wrote.")
        }
        self.file = file
        self.precision = precision
        versions = Dictionary(
            uniqueKeysWithValues: ["torch", "diffusers", "transformers"].compactMap { name in
                file.metadata[name].map { (name, $0) }
            })
    }

    /// Whether the file has an image of these settings.
    func has(_ image: ReferenceJob.Image) throws -> Bool {
        guard let text = file.metadata["image." + image.name] else { return false }
        let other = try? JSONDecoder().decode(ReferenceJob.Image.self, from: Data(text.utf8))
        return other == image
    }

    /// The names of the tensors of an image, sorted.
    func names(of image: String) -> [String] {
        file.tensors.keys.filter { $0.hasPrefix(image + "/") }
            .map { String($0.dropFirst(image.count + 1)) }.sorted()
    }

    /// The numbers of a tensor.
    ///
    /// - Throws: `CheckpointError` of code `missingTensor` or `badTensor`.
    func numbers(_ image: String, _ tensor: String) throws -> [Float] {
        guard let stored = file.tensor(named: "\(image)/\(tensor)") else {
            throw CheckpointError(
                code: .missingTensor,
                message: "The reference has no tensor '\(tensor)' of the image \(image).",
                remedy: "Make the file again.")
        }
        if TensorStore.weightTypes.contains(stored.dtype) { return try stored.floats() }
        return try stored.int32s().map(Float.init)
    }
}

/// What the reference is asked for.
struct ReferenceJob: Encodable {
    /// The settings of one image.
    struct Image: Codable, Equatable {
        let name: String
        let prompt: String
        let negativePrompt: String
        let width: Int
        let height: Int
        let steps: Int
        let seed: UInt64
        let guidanceScale: Double
        let cfgNormalization: Double
        let cfgTruncation: Double

        private enum CodingKeys: String, CodingKey {
            case name, prompt, width, height, steps, seed
            case negativePrompt = "negative_prompt"
            case guidanceScale = "guidance_scale"
            case cfgNormalization = "cfg_normalization"
            case cfgTruncation = "cfg_truncation"
        }
    }

    let images: [Image]
}
