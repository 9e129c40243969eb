// Part of Inkstone. Licence: see LICENSE.

import Foundation
public import Imaging
public import ModelFiles
import Parameters
public import Tensors

/// A loaded model that generates images from prompts.
///
/// `generate` generates one image; `begin`, `step` and `finish` are its parts, with which a scheduler
/// runs several images in one batch. Calls must not overlap.
public final class Pipeline<Device: Backend>: Sendable {
    /// A LoRA file and its scale.
    public typealias LoRA = LoRASource

    /// The folder it was loaded from.
    public let model: ModelDirectory
    /// The device it runs on.
    public let device: Device
    /// The memory that it needs.
    public let memory: MemoryPlan
    /// Where its weights are kept.
    public let residency: WeightResidency
    /// Which keys of the merged LoRA files matched a layer.
    public let loraReports: [LoRAReport]
    /// Where the packed weights of each component are stored.
    package let weightOrigins: [String: WeightOrigin]
    let tokenizer: QwenTokenizer
    private let textEncoder: TextEncoder<Device>
    private let transformer: Transformer<Device>
    private let autoencoder: Autoencoder<Device>
    /// Decodes previews, if the model has files for it.
    let previewDecoder: TinyDecoder<Device>?
    /// A cache of encoded prompts; `nil` if every prompt is encoded again.
    public let promptCache: PromptCache<Device>?
    /// Everything on which a caption depends except the prompt.
    private let identity: [String]
    /// Loaders of the model's own weights.
    let textWeights: WeightLoader<Device>
    let imageWeights: WeightLoader<Device>
    let loraTargets: LoRATargets
    /// LoRA files of recent images.
    let loraCache: LoRACache<Device>
    /// ControlNets of recent images.
    let controlNets: ControlNetCache<Device>

    /// Names of the LoRA files in memory, without folder and extension.
    public var loadedLoRAs: [String] {
        loraCache.paths.map { LoRASource.name(of: $0.split(separator: "/").last ?? "") }.sorted()
    }

    /// Bytes of the LoRA files in memory.
    package var loadedLoRABytes: Int { loraCache.info.bytes }

    /// Checks every file of a model and loads it.
    ///
    /// - Parameters:
    ///   - model: the model's files.
    ///   - device: runs the model.
    ///   - loras: LoRA files to merge into the weights.
    ///   - promptCache: caches encoded prompts; can be shared by pipelines on the same device. `nil`
    ///     encodes every prompt again.
    ///   - weightCache: caches packed weights on disk; `nil` packs them at every start. Weights with
    ///     merged LoRA files are not cached.
    ///   - loraCapacity: bytes of LoRA files that are cached for later images.
    ///   - progress: receives the fraction that is loaded.
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
            + loras.map {
                "\($0.url.standardizedFileURL.path):\($0.scale):\($0.textScale ?? $0.scale)"
            }
        try model.checkTensors()
        memory = try MemoryPlan(model: model, precision: device.precision)
        let residency = try memory.residency(on: device)
        self.residency = residency
        tokenizer = try QwenTokenizer(directory: model.tokenizerURL)
        var origins: [String: WeightOrigin] = [:]
        loraTargets = try LoRATargets(model: model)
        loraCache = LoRACache(capacity: loraCapacity)
        controlNets = ControlNetCache(weightCache: weightCache)
        let (changes, reports) = try WeightChanges.reading(
            loras, for: model, targets: loraTargets, on: device)
        loraReports = reports
        let text = WeightLoader(
            device: device, store: try model.textEncoderStore(), changes: changes)
        textWeights = text
        // What is packed again for each prompt is not stored on a device that would not use it in place.
        let isPacked = residency.repacksTextEncoder && !device.mapsPackedWeights
        (textEncoder, origins["text_encoder"]) = try text.load(
            "text_encoder", cache: isPacked ? nil : weightCache
        ) { loader in
            // The system can evict pages of a cache file: such weights can stay mapped.
            try TextEncoder(
                config: model.textEncoderConfig, loader: loader,
                residency: residency.repacksTextEncoder && loader.session == nil
                    ? .streamed : .resident,
                layersOnHost: residency.textLayersOnHost)
        }
        let image = WeightLoader(
            device: device, store: try model.transformerStore(), changes: changes)
        imageWeights = image
        (transformer, origins["transformer"]) = try image.load(
            "transformer", cache: weightCache
        ) { loader in
            try Transformer(
                config: model.transformerConfig, loader: loader,
                blocksOnHost: residency.blocksOnHost, progress: progress)
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
        try checkDevice()
    }

    // MARK: - Generation

    /// Generates one image.
    ///
    /// - Parameters:
    ///   - input: prompt, size and other parameters.
    ///   - onStep: receives the number of finished steps; throw to stop.
    /// - Returns: the image.
    /// - Throws: `NumericError`, `PipelineError`, and errors of `onStep`.
    public func generate(
        _ input: PipelineInput, onStep: (Int) throws -> Void = { _ in }
    ) throws -> RGBImage {
        var generations = [try begin(input)]
        while !generations[0].isFinished || generations[0].secondPass != nil {
            if generations[0].isFinished { try enlarge(&generations[0]) }
            try step(&generations)
            try onStep(generations[0].step)
        }
        return try finish(&generations[0])
    }

    /// Encodes the prompts of an image and draws its noise.
    ///
    /// - Parameters:
    ///   - input: prompt, size and other parameters.
    ///   - sibling: an image of the same prompts and controls, which are used again; the input has no controls then.
    /// - Returns: the state before the first step.
    /// - Throws: `NumericError`, `PipelineError`, `ControlError`, `MemoryError`.
    package func begin(
        _ input: PipelineInput, sibling: Generation<Device>? = nil
    ) throws -> Generation<Device> {
        try check(input)
        try checkControls(input)
        try checkMemory(input)
        var trace = input.keepsTrace ? Trace() : nil
        let start = ContinuousClock.now
        let guidance = Guidance(
            scale: Float(input.guidanceScale), normalization: Float(input.cfgNormalization),
            truncation: Float(input.cfgTruncation))
        let prompts = try prompts(of: input, guidance, sibling, &trace)
        let sources = sibling?.controlSources ?? input.controls
        let controls = try sibling?.firstControls ?? controls(sources, input.size, &trace)

        let scale = model.autoencoderConfig.scale
        let (height, width) = (input.size.height / scale, input.size.width / scale)
        let levels = levels(of: input, imageTokens: (height / 2) * (width / 2))
        trace?.record("sigmas", .f32(levels.whole.map { Float($0) }, shape: [levels.whole.count]))
        let channels = model.transformerConfig.inChannels
        var generator = TorchGenerator(seed: input.seed)
        let source = try input.source.map { try sourceLatents($0, input, &generator) }
        let inputSeconds = (ContinuousClock.now - start).inSeconds
        let shape = SeedNoise.Shape(channels: channels, height: height, width: width)
        var noise =
            input.noise
            ?? SeedNoise.draw(
                shape, seed: input.seed, input.seeds, scale: scale, from: &generator)
        if source != nil, device.precision != .f32, input.noise == nil {
            // The reference draws this noise in the type of the text features.
            for index in noise.indices { noise[index] = noise[index].roundedToBF16 }
        }
        let inpainting = try inpainting(input, source: source, noise: noise)
        let sigma = Float(levels.run[0])
        if let source {
            for index in noise.indices {
                noise[index] = sigma * noise[index] + (1 - sigma) * source.numbers[index]
            }
        } else if sigma < 1 {
            for index in noise.indices { noise[index] *= sigma }
        }
        trace?.record("latents.init", .f32(noise, shape: [1, channels, height, width]))
        let varied = try variedCaption(prompts.positive, prompts.loras, input, levels.shift)
        return Generation(
            parameters: input.parameters,
            sampler: SamplerRun(input.sampling, levels, latents: noise), channels: channels,
            height: height, width: width,
            cache: input.sampling.cacheThreshold.map(StepCache.init), generator: generator,
            guidance: guidance,
            positive: prompts.positive, varied: varied,
            negative: prompts.negative, loras: prompts.loras, loraReports: prompts.reports,
            controlSources: sources, kept: input.keptInSecondPass, controls: controls,
            inpainting: inpainting,
            trace: trace, inputSeconds: inputSeconds)
    }

    /// Advances all images by one step, in one pass over the weights.
    ///
    /// - Parameters:
    ///   - generations: the images.
    ///   - pause: called between blocks; can work on other images.
    /// - Throws: `NumericError` with the step and, as `sequence`, the index of the image, or the device's
    ///   failure; no image is advanced in these cases.
    package func step(
        _ generations: inout [Generation<Device>], pause: () -> Void = {}
    ) throws {
        let sequences = generations.map(\.sequences)
        var outputs: [[Float]]
        do {
            outputs = try transformer(sequences.flatMap(\.self), pause: pause)
        } catch {
            try checkDevice()
            var error = error
            let owners = sequences.indices.flatMap { index in
                repeatElement(index, count: sequences[index].count)
            }
            error.sequence = owners[error.sequence]
            error.step = generations[error.sequence].step + 1
            throw error
        }
        try checkDevice()
        for index in generations.indices {
            let own = sequences[index].count
            generations[index].advance(Array(outputs.prefix(own)))
            outputs.removeFirst(own)
        }
    }

    /// Throws the reason why what the device computed is invalid, if there is one.
    private func checkDevice() throws {
        if let failure = device.failure { throw failure }
    }

    /// Returns what a computation returns, unless the device has failed: an error of the computation may be no
    /// more than a consequence of that.
    private func checked<Result>(_ body: () throws -> Result) throws -> Result {
        let result: Result
        do { result = try body() } catch {
            try checkDevice()
            throw error
        }
        try checkDevice()
        return result
    }

    /// Decodes a finished image; `pause` is called between layers and can work on other images.
    package func finish(
        _ generation: inout Generation<Device>, pause: () -> Void = {}
    ) throws -> RGBImage {
        let decoded = try decoded(generation.latents, pause: pause)
        let image = try RGBImage(decoded)
        generation.trace?.record(
            "decoded", .f32(decoded.numbers, shape: [1, 3, decoded.height, decoded.width]))
        generation.trace?.record(
            "rgb8", .u8(image.pixels, shape: [image.height, image.width, 3]))
        return image
    }

    /// Decodes latents; `pause` is called between layers.
    func decoded(_ latents: Planes, pause: () -> Void) throws -> Planes {
        try checked { try autoencoder.decode(latents, pause: pause) }
    }

    // MARK: - Parts

    private typealias Prompt = Generation<Device>.Prompt

    /// What images of the same prompts share.
    private struct Prompts {
        let positive: Prompt
        let negative: Prompt?
        let loras: LoRAStack<Device>
        let reports: [LoRAReport]
    }

    private func prompts(
        of input: PipelineInput, _ guidance: Guidance, _ sibling: Generation<Device>?,
        _ trace: inout Trace?
    ) throws -> Prompts {
        if let sibling, trace == nil {
            return Prompts(
                positive: sibling.positive, negative: sibling.negative, loras: sibling.loras,
                reports: sibling.loraReports)
        }
        let (loras, reports) = try stack(of: input.loras)
        let positive = try read(
            input.prompt, loras, "pos", keepsFeatures: input.seeds.variance != nil, &trace)
        let negative =
            guidance.scale > 0 ? try read(input.negativePrompt, loras, "neg", &trace) : nil
        return Prompts(positive: positive, negative: negative, loras: loras, reports: reports)
    }

    private func inpainting(
        _ input: PipelineInput, source: Planes?, noise: [Float]
    ) throws -> Inpainting? {
        guard let mask = input.mask, let source else { return nil }
        let (width, height) = (input.size.width, input.size.height)
        return Inpainting(
            mask: try Inpainting.mask(
                mask, width: width, height: height, scale: model.autoencoderConfig.scale),
            source: source.numbers, noise: noise)
    }

    private func read(
        _ prompt: String, _ loras: LoRAStack<Device>, _ tag: String, keepsFeatures: Bool = false,
        _ trace: inout Trace?
    ) throws -> Prompt {
        let encoded = tokenizer.encodePrompt(prompt)
        let key = PromptCache<Device>.Key(
            ids: encoded.ids, model: identity, loras: loras.captionKey)
        if trace == nil, !keepsFeatures, let known = promptCache?[key] {
            return Prompt(caption: known, isTruncated: encoded.truncated)
        }
        let (features, caption) = try checked {
            let features = try textEncoder.features(of: encoded.ids, loras: loras)
            return (
                features, try transformer.prepareCaption(features: features, loras: loras)
            )
        }
        promptCache?.insert(caption, for: key)
        let width = features.count / encoded.ids.count
        trace?.record("\(tag).input_ids", .i32(encoded.ids, shape: [encoded.ids.count]))
        trace?.record("\(tag).text_features", .f32(features, shape: [encoded.ids.count, width]))
        return Prompt(
            caption: caption, isTruncated: encoded.truncated,
            features: keepsFeatures ? features : nil)
    }

    /// The prompt of the first part of the schedule, if its features get noise.
    private func variedCaption(
        _ prompt: Prompt, _ loras: LoRAStack<Device>, _ input: PipelineInput, _ shift: Double
    ) throws -> Generation<Device>.Varied? {
        guard let variance = input.seeds.variance, let features = prompt.features else {
            return nil
        }
        let varied = SeedNoise.varied(features, variance, seed: input.seed)
        return Generation<Device>.Varied(
            caption: try checked {
                try transformer.prepareCaption(features: varied, loras: loras)
            },
            limit: NoiseSchedule.level(after: variance.until, shift: shift))
    }

    /// Returns the mean of the latents of pixels in -1...1, without drawing noise.
    func encodedMean(of pixels: Planes) throws -> Planes {
        autoencoder.mean(of: try checked { try autoencoder.moments(of: pixels) })
    }

    private func sourceLatents(
        _ image: RGBImage, _ input: PipelineInput, _ generator: inout TorchGenerator
    ) throws -> Planes {
        let fitted =
            image.width == input.size.width && image.height == input.size.height
            ? image : try image.resized(width: input.size.width, height: input.size.height)
        let moments = try checked { try autoencoder.moments(of: Planes(fitted)) }
        return autoencoder.sample(
            moments: moments, noise: generator.normals(moments.numbers.count / 2))
    }
}

extension Float {
    /// The nearest bf16 number, ties to even.
    fileprivate var roundedToBF16: Float {
        let bits = bitPattern
        return Float(bitPattern: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) & 0xffff_0000)
    }
}
