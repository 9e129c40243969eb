// Part of Inkstone. Licence: see LICENSE.

import Foundation
public import Imaging
public import ModelFiles
import Parameters
public import Tensors

/// A loaded model that turns prompts into pictures.
///
/// `generate` makes one picture; `begin`, `step` and `finish` are its parts, with which a scheduler
/// runs many pictures in one batch. One call at a time.
public final class Pipeline<Device: Backend>: Sendable {
    /// A LoRA file and its strength.
    public typealias LoRA = LoRASource

    /// The folder it was loaded from.
    public let model: ModelDirectory
    /// The device it runs on.
    public let device: Device
    /// What it takes in memory.
    public let memory: MemoryPlan
    /// Which keys of the files that were merged found their layer.
    public let loraReports: [LoRAReport]
    /// Where the packed weights of each component are.
    package let weightOrigins: [String: WeightOrigin]
    let tokenizer: QwenTokenizer
    private let textEncoder: TextEncoder<Device>
    private let transformer: Transformer<Device>
    private let autoencoder: Autoencoder<Device>
    /// Decodes previews, where the model has files for it.
    private let previewDecoder: TinyDecoder<Device>?
    /// What was made of recent prompts, or `nil` where every prompt is read anew.
    public let promptCache: PromptCache<Device>?
    /// What a caption depends on beside the prompt.
    private let identity: [String]
    /// The model's own weights, and where they come from.
    let textWeights: WeightLoader<Device>
    let imageWeights: WeightLoader<Device>
    let loraTargets: LoRATargets
    /// Files that pictures asked for.
    let loraCache: LoRACache<Device>

    /// Names of the files that are in memory, without folder and ending.
    public var loadedLoRAs: [String] {
        loraCache.paths.map { LoRASource.name(of: $0.split(separator: "/").last ?? "") }.sorted()
    }

    /// Checks every file of a model and loads it.
    ///
    /// - Parameters:
    ///   - model: the folder.
    ///   - device: where it runs.
    ///   - loras: merged into the weights.
    ///   - promptCache: keeps what is made of prompts; may be shared with other pipelines on the
    ///     same device, and `nil` reads every prompt anew.
    ///   - weightCache: keeps packed weights on the disk; `nil` packs them at every start. Weights
    ///     with LoRA files merged are not kept.
    ///   - loraCapacity: bytes of LoRA files that are kept for later pictures.
    ///   - progress: told the share that is loaded.
    /// - Throws: `CheckpointError`, `TokenizerError`, `MemoryError`.
    public init(
        model: ModelDirectory, device: Device, loras: [LoRA] = [],
        promptCache: PromptCache<Device>? = PromptCache(), weightCache: WeightCache? = nil,
        loraCapacity: Int = 1 << 30, progress: (Double) -> Void = { _ in }
    ) throws {
        self.model = model
        self.device = device
        self.promptCache = promptCache
        identity =
            [model.url.standardizedFileURL.path, model.manifest.id, device.precision.rawValue]
            + loras.map { "\($0.url.standardizedFileURL.path):\($0.scale)" }
        try model.checkTensors()
        memory = try MemoryPlan(model: model, precision: device.precision)
        let available = MemoryPlan.availableBytes ?? .max
        guard memory.streamedBytes + memory.activationBytes <= available else {
            throw MemoryError(
                needed: memory.streamedBytes + memory.activationBytes, available: available,
                purpose: "the model in \(device.precision.rawValue)")
        }
        let fits =
            memory.residentBytes + 2 * memory.activationBytes <= available - available / 5
        tokenizer = try QwenTokenizer(directory: model.tokenizerURL)
        var origins: [String: WeightOrigin] = [:]
        loraTargets = try LoRATargets(model: model)
        loraCache = LoRACache(capacity: loraCapacity)
        let (changes, reports) = try WeightChanges.reading(
            loras, for: model, targets: loraTargets, on: device)
        loraReports = reports
        let text = WeightLoader(
            device: device, store: try model.textEncoderStore(), changes: changes)
        textWeights = text
        (textEncoder, origins["text_encoder"]) = try text.load(
            "text_encoder", cache: weightCache
        ) { loader in
            // Pages of a cache file are the system's to take: such weights may stay mapped.
            try TextEncoder(
                config: model.textEncoderConfig, loader: loader,
                residency: fits || loader.session != nil ? .resident : .streamed)
        }
        let image = WeightLoader(
            device: device, store: try model.transformerStore(), changes: changes)
        imageWeights = image
        (transformer, origins["transformer"]) = try image.load(
            "transformer", cache: weightCache
        ) { loader in
            try Transformer(config: model.transformerConfig, loader: loader, progress: progress)
        }
        let pixels = WeightLoader(device: device, store: try model.autoencoderStore())
        (autoencoder, origins["vae"]) = try pixels.load("vae", cache: weightCache) { loader in
            try Autoencoder(config: model.autoencoderConfig, loader: loader)
        }
        previewDecoder = try model.previewStore().map {
            try TinyDecoder(
                store: $0, latentChannels: model.transformerConfig.inChannels, device: device)
        }
        weightOrigins = origins
    }

    // MARK: - One picture

    /// Makes one picture.
    ///
    /// - Parameters:
    ///   - input: what to make.
    ///   - onStep: told the number of steps done; throw to stop.
    /// - Returns: the picture.
    /// - Throws: `NumericError`, `PipelineError`, and what `onStep` throws.
    public func generate(
        _ input: PipelineInput, onStep: (Int) throws -> Void = { _ in }
    ) throws -> RGBImage {
        var generations = [try begin(input)]
        while !generations[0].isFinished {
            try step(&generations)
            try onStep(generations[0].step)
        }
        return try finish(&generations[0])
    }

    /// Encodes the prompts and draws the noise of a picture.
    ///
    /// - Parameters:
    ///   - input: what to make.
    ///   - sibling: a picture of the same prompts, whose captions serve this one too.
    /// - Returns: the picture before its first step.
    /// - Throws: `NumericError`, `PipelineError`, `MemoryError`.
    package func begin(
        _ input: PipelineInput, sibling: Generation<Device>? = nil
    ) throws -> Generation<Device> {
        try check(input)
        try checkMemory(input)
        var trace = input.keepsTrace ? Trace() : nil
        let start = ContinuousClock.now
        let guidance = Guidance(
            scale: Float(input.guidanceScale), normalization: Float(input.cfgNormalization),
            truncation: Float(input.cfgTruncation))
        let loras: LoRAStack<Device>
        let reports: [LoRAReport]
        let positive: Prompt
        let negative: Prompt?
        if let sibling, trace == nil {
            (positive, negative) = (sibling.positive, sibling.negative)
            (loras, reports) = (sibling.loras, sibling.loraReports)
        } else {
            (loras, reports) = try stack(of: input.loras)
            positive = try read(input.prompt, loras, "pos", &trace)
            negative =
                guidance.scale > 0
                ? try read(input.negativePrompt, loras, "neg", &trace) : nil
        }

        let scale = model.autoencoderConfig.scale
        let (height, width) = (input.size.height / scale, input.size.width / scale)
        var schedule = FlowMatchSchedule(
            steps: input.steps, imageTokens: (height / 2) * (width / 2),
            config: model.schedulerConfig)
        trace?.record("sigmas", .f32(schedule.sigmas, shape: [schedule.sigmas.count]))
        if input.source != nil {
            schedule = schedule.tail(strength: input.strength ?? Self.usualStrength)
        }
        let channels = model.transformerConfig.inChannels
        let count = channels * height * width
        var generator = TorchGenerator(seed: input.seed)
        let source = try input.source.map { try sourceLatents($0, input, &generator) }
        let inputSeconds = (ContinuousClock.now - start).inSeconds
        var noise = input.noise ?? generator.normals(count)
        if source != nil, device.precision != .f32, input.noise == nil {
            // The reference draws this noise in the type of the text features.
            for index in noise.indices { noise[index] = noise[index].roundedToBF16 }
        }
        let inpainting = try input.mask.flatMap { mask in
            try source.map { source in
                Inpainting(
                    mask: try Inpainting.mask(
                        mask, width: input.size.width, height: input.size.height, scale: scale),
                    source: source.numbers, noise: noise)
            }
        }
        if let source, let sigma = schedule.sigmas.first {
            for index in noise.indices {
                noise[index] = sigma * noise[index] + (1 - sigma) * source.numbers[index]
            }
        }
        let latents = Planes(noise, channels: channels, height: height, width: width)
        trace?.record("latents.init", .f32(noise, shape: [1, channels, height, width]))
        return Generation(
            latents: latents, schedule: schedule, guidance: guidance, positive: positive,
            negative: negative, loras: loras, loraReports: reports, inpainting: inpainting,
            trace: trace, inputSeconds: inputSeconds)
    }

    /// Moves all pictures one step on, in one pass over the weights.
    ///
    /// - Parameters:
    ///   - generations: the pictures.
    ///   - pause: called between blocks; may work on other pictures.
    /// - Throws: `NumericError` with the step and, as `sequence`, the index of the picture; then no
    ///   picture has moved.
    package func step(
        _ generations: inout [Generation<Device>], pause: () -> Void = {}
    ) throws(NumericError) {
        let sequences = generations.map(\.sequences)
        var outputs: [[Float]]
        do {
            outputs = try transformer(sequences.flatMap(\.self), pause: pause)
        } catch {
            var error = error
            let owners = sequences.indices.flatMap { index in
                repeatElement(index, count: sequences[index].count)
            }
            error.sequence = owners[error.sequence]
            error.step = generations[error.sequence].step + 1
            throw error
        }
        for index in generations.indices {
            let own = sequences[index].count
            generations[index].advance(Array(outputs.prefix(own)))
            outputs.removeFirst(own)
        }
    }

    /// Decodes a finished picture; `pause` is called between layers and may work on other pictures.
    package func finish(
        _ generation: inout Generation<Device>, pause: () -> Void = {}
    ) throws -> RGBImage {
        let decoded = try autoencoder.decode(generation.latents, pause: pause)
        let image = try RGBImage(decoded)
        generation.trace?.record(
            "decoded", .f32(decoded.numbers, shape: [1, 3, decoded.height, decoded.width]))
        generation.trace?.record(
            "rgb8", .u8(image.pixels, shape: [image.height, image.width, 3]))
        return image
    }

    /// A picture of what the last step predicts: of the full size where the model has a small decoder,
    /// else one pixel a latent pixel.
    package func preview(_ generation: Generation<Device>) -> RGBImage? {
        if let previewDecoder, let latents = generation.prediction {
            var planes = previewDecoder.decode(latents)
            guard planes.numbers.allSatisfy(\.isFinite) else { return nil }
            for index in planes.numbers.indices {
                planes.numbers[index] = 2 * planes.numbers[index] - 1
            }
            return try? RGBImage(planes)
        }
        guard let latents = generation.prediction, let preview = model.manifest.preview,
            preview.factors.count == latents.channels
        else { return nil }
        let area = latents.height * latents.width
        var planes = Planes(
            [Float](repeating: 0, count: 3 * area), channels: 3, height: latents.height,
            width: latents.width)
        for color in 0..<3 {
            for pixel in 0..<area {
                var sum = Float(preview.bias[color])
                for channel in 0..<latents.channels {
                    sum +=
                        latents.numbers[channel * area + pixel]
                        * Float(preview.factors[channel][color])
                }
                planes.numbers[color * area + pixel] = sum
            }
        }
        return try? RGBImage(planes)
    }

    // MARK: - Parts

    /// Strength where a source image comes without one.
    private static var usualStrength: Double { 0.6 }

    private func check(_ input: PipelineInput) throws(PipelineError) {
        for (name, side) in [("width", input.size.width), ("height", input.size.height)] {
            guard side >= 16, side <= 8192, side.isMultiple(of: 2 * model.autoencoderConfig.scale)
            else {
                throw PipelineError(
                    message: "\(name) must be a multiple of"
                        + " \(2 * model.autoencoderConfig.scale) up to 8192, got \(side).")
            }
        }
        guard input.steps >= 1 else {
            throw PipelineError(message: "steps must be at least 1, got \(input.steps).")
        }
        if input.mask != nil, input.source == nil {
            throw PipelineError(
                message: "a mask needs a picture that it is for, got none.")
        }
        guard input.loras.count >= input.parameters.loras.count else {
            throw PipelineError(
                message: "each LoRA that the parameters name needs its file in 'loras', got"
                    + " \(input.loras.count) files for \(input.parameters.loras.count) names.")
        }
        if input.source != nil {
            let strength = input.strength ?? Self.usualStrength
            guard strength > 0, strength <= 1,
                Double(input.steps) * strength >= 1
            else {
                throw PipelineError(
                    message: "strength must leave at least one of \(input.steps) steps and be at"
                        + " most 1, got \(strength).")
            }
        }
        if let noise = input.noise {
            let scale = model.autoencoderConfig.scale
            let count =
                model.transformerConfig.inChannels * (input.size.height / scale)
                * (input.size.width / scale)
            guard noise.count == count else {
                throw PipelineError(
                    message: "initial latents must have \(count) numbers for"
                        + " \(input.size.width)x\(input.size.height), got \(noise.count).")
            }
        }
    }

    /// Refuses a picture that would not fit, before anything is allocated for it.
    private func checkMemory(_ input: PipelineInput) throws(MemoryError) {
        let needed = memory.activationBytes(width: input.size.width, height: input.size.height)
        let available = MemoryPlan.availableBytes ?? .max
        guard needed <= available else {
            throw MemoryError(
                needed: needed, available: available,
                purpose: "a picture of \(input.size.width)x\(input.size.height)")
        }
    }

    private typealias Prompt = Generation<Device>.Prompt

    private func read(
        _ prompt: String, _ loras: LoRAStack<Device>, _ tag: String, _ trace: inout Trace?
    ) throws -> Prompt {
        let encoded = tokenizer.encodePrompt(prompt)
        let key = PromptCache<Device>.Key(
            ids: encoded.ids, model: identity, loras: loras.captionKey)
        if trace == nil, let known = promptCache?[key] {
            return Prompt(caption: known, isTruncated: encoded.truncated)
        }
        let features = try textEncoder.features(of: encoded.ids, loras: loras)
        let caption = try transformer.prepareCaption(features: features, loras: loras)
        promptCache?.insert(caption, for: key)
        let width = features.count / encoded.ids.count
        trace?.record("\(tag).input_ids", .i32(encoded.ids, shape: [encoded.ids.count]))
        trace?.record("\(tag).text_features", .f32(features, shape: [encoded.ids.count, width]))
        return Prompt(caption: caption, isTruncated: encoded.truncated)
    }

    private func sourceLatents(
        _ image: RGBImage, _ input: PipelineInput, _ generator: inout TorchGenerator
    ) throws -> Planes {
        let fitted =
            image.width == input.size.width && image.height == input.size.height
            ? image : try image.resized(width: input.size.width, height: input.size.height)
        let moments = try autoencoder.moments(of: Planes(fitted))
        return autoencoder.sample(
            moments: moments, noise: generator.normals(moments.numbers.count / 2))
    }
}

/// An input that the pipeline cannot work on.
public struct PipelineError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One sentence: what was expected and what came.
    public let message: String
    /// The message.
    public var description: String { message }
}

extension Float {
    /// The nearest bf16 number, ties to even.
    fileprivate var roundedToBF16: Float {
        let bits = bitPattern
        return Float(bitPattern: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) & 0xffff_0000)
    }
}
