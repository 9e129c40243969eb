// Part of Inkstone. Licence: see LICENSE.

package import Parameters
package import Tensors

/// The state of an image that is being generated: sampler with latents, prompts.
package struct Generation<Device: Backend>: Sendable {
    /// An encoded prompt.
    struct Prompt: Sendable {
        let caption: Transformer<Device>.Caption
        /// Whether it was longer than the limit of the text encoder.
        let isTruncated: Bool
        /// Its features, where those of images differ.
        var features: [Float]?
    }

    /// A prompt whose features have noise.
    struct Varied: Sendable {
        let caption: Transformer<Device>.Caption
        /// The noise level above which it replaces the prompt.
        let limit: Double
    }

    let parameters: SamplingParameters
    var sampler: SamplerRun
    let channels: Int
    private(set) var height: Int
    private(set) var width: Int
    /// Evaluations of the first pass, in the second.
    private(set) var earlier: Int?
    /// The evaluation in tiles; `nil` evaluates the whole latents at once.
    private(set) var tiles: TiledEvaluation?
    /// Leaves out evaluations, if the request allows it.
    private(set) var cache: StepCache?
    /// The generator of the image's noise, which continues with that of its sampler.
    var generator: TorchGenerator
    /// The latents of the finished image as predicted in the last evaluation; previews show it.
    package internal(set) var prediction: Planes?
    package let guidance: Guidance
    let positive: Prompt
    /// What replaces the prompt in the first part of the schedule.
    let varied: Varied?
    let negative: Prompt?
    let loras: LoRAStack<Device>
    /// Which keys of its LoRA files matched a layer.
    package let loraReports: [LoRAReport]
    /// The controls as requested, from which a second pass makes those of its size.
    let controlSources: [ControlSource]
    /// The source image and its mask, from which a second pass makes what it keeps.
    let kept: Inpainting.Images?
    /// ControlNets with their inputs and steps.
    private(set) var controls: [ScheduledControl<Device>]
    /// Keeps a part of the source image, if there is a mask.
    private(set) var inpainting: Inpainting?
    package internal(set) var trace: Trace?
    /// Whether a prompt was longer than the limit of the text encoder.
    package var promptTruncated: Bool {
        positive.isTruncated || negative?.isTruncated == true
    }
    /// Seconds spent on encoding the prompts and the source image.
    package let inputSeconds: Double

    /// The latents after the last whole step.
    package var latents: Planes { planes(sampler.latents) }
    /// Evaluations done; each tile is one.
    package var step: Int {
        (earlier ?? 0) + sampler.evaluations * (tiles?.count ?? 1) + (tiles?.index ?? 0)
    }
    /// Evaluations of the whole run.
    package var steps: Int {
        sampler.totalEvaluations * (tiles?.count ?? 1) + (earlier ?? parameters.laterEvaluations)
    }
    /// Whether some tiles of the latents are evaluated and others are not.
    package var isBetweenTiles: Bool { tiles.map { $0.index > 0 } ?? false }
    /// Latent rows and columns of one evaluation.
    private var evaluated: (height: Int, width: Int) {
        tiles.map { ($0.height, $0.width) } ?? (height, width)
    }
    /// Whether all evaluations of the pass are done.
    package var isFinished: Bool { sampler.isFinished }
    /// The pass that is still to begin.
    package var secondPass: SecondPass? { earlier == nil ? parameters.secondPass : nil }
    /// The controls of the first pass; `nil` in the second, whose controls have its size and tiles.
    var firstControls: [ScheduledControl<Device>]? { earlier == nil ? controls : nil }

    /// Tokens of one evaluation, padding included; those of ControlNets by their share of the blocks.
    package var tokens: Int {
        let (height, width) = evaluated
        let image = Transformer<Device>.padded((height / 2) * (width / 2))
        let own = (image + positive.caption.length) * (negative == nil ? 1 : 2)
        return activeControls.reduce(own) { $0 + Int(Double(own) * $1.net.share) }
    }

    /// Indices of the ControlNets that act in the next evaluation.
    private var activeIndices: [Int] {
        controls.indices.filter {
            controls[$0].applies(at: sampler.evaluations, of: sampler.totalEvaluations)
        }
    }

    /// Their inputs.
    private var activeControls: [ControlNet<Device>.Input] {
        activeIndices.map { controls[$0].inputs[tiles?.index ?? 0] }
    }

    private func planes(_ numbers: [Float]) -> Planes {
        Planes(numbers, channels: channels, height: height, width: width)
    }

    /// The captions of an evaluation: with guidance those of both prompts.
    private func captions(at level: Double) -> [Transformer<Device>.Caption] {
        var captions = [positive.caption]
        if let varied, level > varied.limit { captions = [varied.caption] }
        if let negative, guidance.applies(at: FlowMatchSchedule.time(at: Float(level))) {
            captions.append(negative.caption)
        }
        return captions
    }

    /// What the outputs of the next evaluation depend on beside its latents and its level.
    private var conditions: StepCache.Conditions {
        let level = sampler.query.level
        return StepCache.Conditions(
            branches: captions(at: level).count, isVaried: varied.map { level > $0.limit } ?? false,
            controls: activeIndices)
    }

    /// The sequences of the next evaluation: with guidance the positive and the negative branch.
    var sequences: [Transformer<Device>.Sequence] {
        let query = sampler.query
        let time = FlowMatchSchedule.time(at: Float(query.level))
        let captions = captions(at: query.level)
        let controls = activeControls
        let whole = planes(query.latents)
        let part = tiles.map { $0.part($0.index, of: whole) } ?? whole
        return captions.map {
            var sequence = Transformer.Sequence(
                latents: part.numbers, height: part.height, width: part.width, caption: $0,
                time: time, loras: loras)
            sequence.controls = controls
            return sequence
        }
    }

    /// Continues in another size.
    mutating func beginSecondPass(
        _ sampler: SamplerRun, _ generator: TorchGenerator, height: Int, width: Int,
        _ tiles: TiledEvaluation?, _ controls: [ScheduledControl<Device>],
        _ inpainting: Inpainting?
    ) {
        earlier = step
        self.tiles = tiles
        cache = parameters.sampling.cacheThreshold.map(StepCache.init)
        self.controls = controls
        self.inpainting = inpainting
        self.sampler = sampler
        self.generator = generator
        self.height = height
        self.width = width
        prediction = nil
    }

    /// Continues with the outputs for `sequences`, past evaluations that are left out.
    mutating func advance(_ outputs: [[Float]]) {
        if trace != nil {
            let shape = [outputs.count, channels, 1, evaluated.height, evaluated.width]
            let name = "transformer_out.\(step)"
            trace?.record(name, .f32(outputs.flatMap(\.self), shape: shape))
        }
        guard var cache else { return apply(outputs) }
        cache.record(outputs, at: sampler.query.latents, conditions)
        apply(outputs)
        while !sampler.isFinished,
            let reused = cache.reuse(
                at: sampler.query.latents, conditions, evaluation: sampler.evaluations,
                of: sampler.totalEvaluations)
        {
            apply(reused)
        }
        self.cache = cache
    }

    private mutating func apply(_ outputs: [[Float]]) {
        let output =
            outputs.count > 1
            ? guidance.combine(positive: outputs[0], negative: outputs[1]) : outputs[0]
        var velocity = output.map { -$0 }
        if tiles != nil {
            guard let whole = tiles?.add(velocity) else { return }
            velocity = whole
        }
        var prediction = sampler.prediction(velocity)
        var generator = generator
        sampler.take(velocity) { generator.normals($0) }
        self.generator = generator
        if let inpainting {
            inpainting.hold(&prediction, sigma: 0)
            if sampler.isBetweenSteps {
                inpainting.hold(&sampler.latents, sigma: Float(sampler.level))
            }
        }
        self.prediction = planes(prediction)
        let latents = latents
        trace?.recordLatents(latents, isSecondPass: earlier != nil)
    }
}
