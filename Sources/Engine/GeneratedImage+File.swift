// Part of Inkstone. Licence: see LICENSE.

public import Imaging
import Parameters

extension GeneratedImage {
    /// Returns how the image was made, as image clients write it into files: the one place that
    /// assembles this text, for every format and dialect.
    public func parametersText(of request: ImageRequest, model: ModelDescription) -> String {
        generationParameters(of: request, model: model).text
    }

    private func generationParameters(
        of request: ImageRequest, model: ModelDescription
    ) -> GenerationParameters {
        let guidance = request.guidanceScale
        return GenerationParameters(
            prompt: request.prompt,
            negativePrompt: guidance > 0 ? request.negativePrompt : "",
            steps: request.steps,
            sampler: request.sampling.sampler.label,
            scheduleType: request.sampling.schedule == .standard
                ? nil : request.sampling.schedule.label,
            cfgScale: GenerationParameters.cfgScale(guidance: guidance),
            seed: seed,
            width: image.width,
            height: image.height,
            model: model.id,
            loras: request.loras.map {
                .init(name: $0.name, scale: $0.scale, textScale: $0.textScale)
            },
            extras: extras(of: request),
            version: "Inkstone \(version)"
        )
    }

    /// The pairs of a request without a property of their own.
    private func extras(of request: ImageRequest) -> [GenerationParameters.Field] {
        let (method, standard) = (request.sampling, SamplingMethod())
        var extras: [GenerationParameters.Field] = []
        func add(_ key: String, _ value: String?) {
            if let value { extras.append(.init(key, value)) }
        }
        add("Denoising strength", request.strength.map { "\($0)" })
        if method.strengthRule != standard.strengthRule, request.strength != nil {
            add("Strength rule", method.strengthRule.rawValue)
        }
        add("Shift", method.shift.map { "\($0)" })
        add("Sigmas", method.sigmas.map { $0.map { "\($0)" }.joined(separator: " ") })
        if method.eta != standard.eta, method.sampler.addsNoise { add("Eta", "\(method.eta)") }
        return extras
    }

    /// Returns the image as a file that holds this text; the PNG file that there is already, if any.
    ///
    /// Where the format limits the text, the prompts are shortened, and the text says so.
    ///
    /// - Throws: `ImagingError`.
    public func file(
        as encoding: ImageEncoding = ImageEncoding(format: .png), of request: ImageRequest,
        model: ModelDescription?
    ) throws -> [UInt8] {
        if encoding.format == .png, let png { return png }
        let metadata = model.flatMap {
            generationParameters(of: request, model: $0)
                .text(upTo: encoding.format.maximumParametersUnits)
        }.map(ImageMetadata.init(parameters:))
        return try ImageEncoder.encode(image, as: encoding, metadata: metadata ?? ImageMetadata())
    }
}
