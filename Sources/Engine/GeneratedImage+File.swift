// Part of Inkstone. Licence: see LICENSE.

import ControlMaps
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
            width: request.secondPass == nil ? image.width : request.size.width,
            height: request.secondPass == nil ? image.height : request.size.height,
            model: model.id,
            loras: request.loras.map { lora in
                .init(
                    name: lora.name, scale: lora.scale, textScale: lora.textScale,
                    hash: loras.first { $0.name == lora.name }?.hash)
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
        let pass = request.secondPass
        add("Denoising strength", (request.strength ?? pass?.strength).map { "\($0)" })
        if request.strength != nil { add("Hires strength", (pass?.strength).map { "\($0)" }) }
        add("Hires resize", pass.map { "\($0.size)" })
        add("Hires steps", pass?.steps.map { "\($0)" })
        add("Hires upscaler", pass?.upscaler.label)
        add("Hires sampler", pass?.sampler?.label)
        add("Hires schedule type", pass?.schedule?.label)
        add("Hires tiles", pass?.tiles.map { "\($0.side) \($0.overlap)" })
        if method.strengthRule != standard.strengthRule, request.strength != nil {
            add("Strength rule", method.strengthRule.rawValue)
        }
        if let threshold = method.cacheThreshold {
            add("Step cache", "\(threshold)")
            add("Steps left out", "\(max(0, request.evaluations - self.seconds.steps.count))")
        }
        add("Shift", method.shift.map { "\($0)" })
        add("Sigmas", method.sigmas.map { $0.map { "\($0)" }.joined(separator: " ") })
        if method.eta != standard.eta, method.sampler.addsNoise { add("Eta", "\(method.eta)") }
        let seeds = request.parameters.image(at: index).seeds
        add("Variation seed", seeds.variation.map { "\($0.seed)" })
        add("Variation seed strength", seeds.variation.map { "\($0.strength)" })
        add("Seed resize from", seeds.noiseSize.map { "\($0)" })
        add("Seed variance", seeds.variance.map { "\($0.strength) \($0.share) \($0.until)" })
        for (number, control) in request.controls.enumerated() {
            add("ControlNet \(number)", Self.text(of: control))
        }
        return extras
    }

    /// A control as A1111's extension writes it.
    private static func text(of control: ControlParameters) -> String {
        let module = Preprocessor(rawValue: control.type)?.webUIName ?? control.type
        return "Module: \(module), Model: \(control.model), Weight: \(control.strength),"
            + " Guidance Start: \(control.start), Guidance End: \(control.end)"
    }

    /// Returns the image as a file that holds its parameters; the PNG file that there is already, if any.
    ///
    /// A request may leave the text out. Where the format limits it, the prompts are shortened, and the text says so.
    ///
    /// - Throws: `ImagingError`.
    public func file(
        as encoding: ImageEncoding = ImageEncoding(format: .png), of request: ImageRequest,
        model: ModelDescription?
    ) throws -> [UInt8] {
        if encoding.format == .png, let png { return png }
        let described = request.embedsParameters ? model : nil
        let metadata = described.flatMap {
            generationParameters(of: request, model: $0)
                .text(upTo: encoding.format.maximumParametersUnits)
        }.map(ImageMetadata.init(parameters:))
        return try ImageEncoder.encode(image, as: encoding, metadata: metadata ?? ImageMetadata())
    }
}
