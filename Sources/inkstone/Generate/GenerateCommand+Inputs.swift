// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import ZImage

extension GenerateCommand {
    /// The request of the options, validated against the limits of a model that is not loaded.
    func makeRequest(
        _ prompt: String, model: ModelDirectory, device: some Backend
    ) throws -> ImageRequest {
        let plan = try MemoryPlan(model: model, precision: device.precision)
        let description = ModelDescription(
            model: model, parameterCount: plan.parameterCount, precision: device.precisionName,
            kernels: device.kernelsName)
        var draft = ImageRequest.Draft(try sampling.draft(prompt))
        draft.count = count
        draft.embedsParameters = !noEmbedParameters
        draft.source = try readSource()
        draft.sampling.strengthRule = strengthRule ?? draft.sampling.strengthRule
        draft.strength = draft.source.map { strength ?? ($0.mask == nil ? 0.6 : 1) }
        let request = try ImageRequest(draft, for: description)
        return try request.with(
            controls: controls(for: model, precision: device.precision).map {
                try $0.parameters(for: request.size)
            })
    }

    private func readSource() throws -> ImageRequest.Source? {
        guard let image else { return nil }
        let picture = try Self.read(image, as: "usable source image")
        let mask = try mask.map { try Self.read($0, as: "mask") }
        return ImageRequest.Source(image: picture, mask: mask)
    }

    static func read(_ file: String, as use: String) throws -> RGBImage {
        do {
            return try ImageFile.read(from: file).image
        } catch {
            // The decoder does not know the name of the file.
            guard !error.message.contains(file) else { throw error }
            throw CommandError(ExitStatus(error), "'\(file)' is not a \(use). \(error)")
        }
    }

    /// The initial noise from `--latents`.
    ///
    /// - Shapes: `[C, h, w]` or `[1, C, h, w]`, where h and w are the image size divided by the
    ///   autoencoder's scale.
    func readNoise(request: ImageRequest, model: ModelDirectory) throws -> [Float]? {
        guard let latents else { return nil }
        let name = "latents.init"
        let scale = model.autoencoderConfig.scale
        let expected = [
            model.transformerConfig.inChannels, request.size.height / scale,
            request.size.width / scale,
        ]
        let file = try SafetensorsFile(url: URL(filePath: latents))
        guard let tensor = file.tensor(named: name) else {
            throw CommandError(
                .badFile,
                "'\(latents)' has no tensor '\(name)'; write one of shape \(expected) in F32.")
        }
        guard tensor.shape == expected || tensor.shape == [1] + expected else {
            throw CommandError(
                .badFile,
                "Tensor '\(name)' of '\(latents)' must have the shape \(expected) for"
                    + " \(request.size) pixels, got \(tensor.shape); change the tensor, or --width"
                    + " and --height.")
        }
        let numbers = try tensor.floats()
        guard numbers.allSatisfy(\.isFinite) else {
            throw CommandError(
                .badFile,
                "Tensor '\(name)' of '\(latents)' has a number that is not finite; write it"
                    + " again.")
        }
        return numbers
    }
}
