// Part of Inkstone. Licence: see LICENSE.

public import Imaging

extension GenerationParameters {
    /// The text that says how a picture was made, as other programs read it.
    public init(request: ImageRequest, image: GeneratedImage, model: ModelDescription) {
        let guidance = request.guidanceScale
        self.init(
            prompt: request.prompt,
            negativePrompt: guidance > 0 ? request.negativePrompt : "",
            steps: request.steps,
            cfgScale: GenerationParameters.cfgScale(guidance: guidance),
            seed: image.seed,
            width: image.image.width,
            height: image.image.height,
            model: model.id,
            loras: request.loras.map { LoRA(name: $0.name, scale: $0.scale) },
            extras: request.source.map { [Field("Denoising strength", "\($0.strength)")] } ?? [],
            version: "Inkstone \(Engine.version)")
    }
}
