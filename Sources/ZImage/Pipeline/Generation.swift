// Part of Inkstone. Licence: see LICENSE.

package import Tensors

/// One picture on its way: its latents, where it is in its schedule, and what it is told to draw.
package struct Generation<Device: Backend>: Sendable {
    /// A prompt that was read.
    struct Prompt: Sendable {
        let caption: Transformer<Device>.Caption
        /// Whether it was longer than the model reads.
        let isTruncated: Bool
    }

    package internal(set) var latents: Planes
    /// What the last step predicts for the finished picture's latents; previews are made of it.
    package internal(set) var prediction: Planes?
    /// Steps done.
    package internal(set) var step = 0
    package let schedule: FlowMatchSchedule
    package let guidance: Guidance
    let positive: Prompt
    let negative: Prompt?
    let loras: LoRAStack<Device>
    /// Which keys of its LoRA files found their layer.
    package let loraReports: [LoRAReport]
    /// What keeps a part of the picture as it was.
    let inpainting: Inpainting?
    package internal(set) var trace: Trace?
    /// Whether a prompt was longer than the model reads.
    package var promptTruncated: Bool {
        positive.isTruncated || negative?.isTruncated == true
    }
    /// Seconds spent on encoding prompts, and the picture to start from.
    package let inputSeconds: Double

    /// Whether all steps are done.
    package var isFinished: Bool { step == schedule.steps }

    /// Tokens that one evaluation works on, those that fill the picture up to whole 32 among them.
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

    /// Takes the outputs for `sequences` and moves the latents one step on.
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
