// Part of Inkstone. Licence: see LICENSE.

package import Tensors

/// The state of an image that is being generated: latents, position in the schedule, prompts.
package struct Generation<Device: Backend>: Sendable {
    /// An encoded prompt.
    struct Prompt: Sendable {
        let caption: Transformer<Device>.Caption
        /// Whether it was longer than the limit of the text encoder.
        let isTruncated: Bool
    }

    package internal(set) var latents: Planes
    /// The latents of the finished image as predicted in the last step; previews show it.
    package internal(set) var prediction: Planes?
    /// Steps done.
    package internal(set) var step = 0
    package let schedule: FlowMatchSchedule
    package let guidance: Guidance
    let positive: Prompt
    let negative: Prompt?
    let loras: LoRAStack<Device>
    /// Which keys of its LoRA files matched a layer.
    package let loraReports: [LoRAReport]
    /// Keeps a part of the source image, if there is a mask.
    let inpainting: Inpainting?
    package internal(set) var trace: Trace?
    /// Whether a prompt was longer than the limit of the text encoder.
    package var promptTruncated: Bool {
        positive.isTruncated || negative?.isTruncated == true
    }
    /// Seconds spent on encoding the prompts and the source image.
    package let inputSeconds: Double

    /// Whether all steps are done.
    package var isFinished: Bool { step == schedule.steps }

    /// Tokens of one evaluation, padding included.
    package var tokens: Int {
        let image = Transformer<Device>.padded((latents.height / 2) * (latents.width / 2))
        return (image + positive.caption.length) * (negative == nil ? 1 : 2)
    }

    private var time: Float { schedule.time(step) }

    /// The sequences of the next step: with guidance the positive and the negative branch.
    var sequences: [Transformer<Device>.Sequence] {
        var captions = [positive.caption]
        if let negative, guidance.applies(at: time) { captions.append(negative.caption) }
        return captions.map {
            Transformer.Sequence(
                latents: latents.numbers, height: latents.height, width: latents.width,
                caption: $0, time: time, loras: loras)
        }
    }

    /// Advances the latents by one step, given the outputs for `sequences`.
    mutating func advance(_ outputs: [[Float]]) {
        if trace != nil {
            trace?.record(
                "transformer_out.\(step)",
                .f32(
                    outputs.flatMap(\.self),
                    shape: [outputs.count, latents.channels, 1, latents.height, latents.width]))
        }
        let output =
            outputs.count > 1
            ? guidance.combine(positive: outputs[0], negative: outputs[1]) : outputs[0]
        let sigma = schedule.sigmas[step]
        let distance = schedule.sigmas[step + 1] - sigma
        var prediction = latents
        for index in output.indices {
            let velocity = -output[index]
            prediction.numbers[index] -= sigma * velocity
            latents.numbers[index] += distance * velocity
        }
        inpainting?.hold(&prediction, sigma: 0)
        inpainting?.hold(&latents, sigma: schedule.sigmas[step + 1])
        self.prediction = prediction
        step += 1
        trace?.recordLatents(latents)
    }
}
