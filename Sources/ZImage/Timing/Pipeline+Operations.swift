// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Parameters

extension Pipeline {
    /// Operations of an image from text: two for each multiply-add of products, convolutions and
    /// attention.
    package func operations(_ input: PipelineInput) throws -> Int {
        let transformer = try model.transformerSpec()
        let scale = model.autoencoderConfig.scale
        let (height, width) = (input.size.height / scale, input.size.width / scale)
        var total = model.autoencoderConfig.decodeOperations(height: height, width: width)
        let prompts = [input.prompt] + (input.guidanceScale > 0 ? [input.negativePrompt] : [])
        for prompt in prompts {
            let count = tokenizer.encodePrompt(prompt).ids.count
            total +=
                model.textEncoderConfig.operations(tokens: count)
                + transformer.captionOperations(tokens: Transformer<Device>.padded(count))
                + input.sampling.evaluations(steps: input.steps, strength: nil)
                * transformer.stepOperations(
                    imageTokens: Transformer<Device>.padded((height / 2) * (width / 2)),
                    captionTokens: Transformer<Device>.padded(count))
        }
        return total
    }
}
