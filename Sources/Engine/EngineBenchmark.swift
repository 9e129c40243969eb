// Part of Inkstone. Licence: see LICENSE.

import Basics
package import ModelFiles
import Parameters
package import Tensors
package import ZImage

/// Benchmarks of the parts of a model, with several runs each after a warm-up run.
package struct EngineBenchmark<Device: Backend> {
    private let device: Device
    private let model: ModelDirectory
    private let repetitions: Int
    private let profiler: Profiler?

    /// Examines a part that was measured: its name, and a function that runs it once more.
    package typealias Profiler = (_ part: String, _ run: () throws -> Void) throws -> Void

    /// Creates a benchmark of a model on a device; `profiler` is called for each part but those with LoRA.
    package init(
        device: Device, model: ModelDirectory, repetitions: Int, profiler: Profiler? = nil
    ) {
        self.device = device
        self.model = model
        self.repetitions = repetitions
        self.profiler = profiler
    }

    /// The matrix products of a block, and its attention, separately.
    package func kernels(tokens: Int) throws -> [TimedRuns] {
        let config = model.transformerConfig
        let (dim, wide) = (config.dim, try model.feedForwardWidth())
        let precision = device.precision
        let specs = [
            TensorSpec("to_qkv", [3 * dim, dim]), TensorSpec("to_out", [dim, dim]),
            TensorSpec("w1", [wide, dim]), TensorSpec("w3", [wide, dim]),
            TensorSpec("w2", [dim, wide]),
        ]
        let store = try TensorStore.random(specs)
        func rows(_ name: String) throws -> StoredRows {
            guard let tensor = store[name] else { preconditionFailure("tensor \(name)") }
            return StoredRows(
                bytes: tensor.bytes, dtype: tensor.dtype, rows: tensor.shape[0],
                depth: tensor.shape[1], owner: tensor)
        }
        var results: [TimedRuns] = []
        for (names, layout) in [
            (["to_qkv"], .stacked), (["to_out"], .stacked), (["w1", "w3"], .gated),
            (["w2"], .stacked),
        ] as [([String], MatrixSource.Layout)] {
            let parts = try names.map(rows)
            let weights = device.makeWeights(
                MatrixSource(parts, layout: layout), precision: precision)
            let (depth, columns) = (parts[0].depth, parts.reduce(0) { $0 + $1.rows })
            let operand = device.operand(noise(tokens, depth), precision: precision)
            results.append(
                try time(
                    "\(names.joined(separator: " and ")) [\(tokens), \(depth)] x \(columns)",
                    2 * tokens * depth * columns
                ) {
                    if layout == .gated {
                        _ = device.swiglu(operand, weights)
                    } else {
                        _ = device.product(operand, weights, adding: nil)
                    }
                })
        }
        let qkv = noise(tokens, 3 * dim)
        let shape = AttentionShape(
            heads: config.heads, keyValueHeads: config.heads, headDim: config.headDim,
            causal: false, precision: precision)
        results.append(
            try time("attention of \(tokens) tokens", 4 * tokens * tokens * dim) {
                _ = device.attention(qkv, shape, segments: Segments(lengths: [tokens]))
            })
        return results
    }

    /// One block of the transformer.
    package func block(tokens: Int) throws -> TimedRuns {
        let block = try TimedBlock("layers.0", of: model, device: device, tokens: tokens)
        let operations = model.transformerConfig.operations(
            tokens: tokens, feedForward: try model.feedForwardWidth())
        return try time("block of \(tokens) tokens", operations) { try block.run() }
    }

    /// One block without and with a LoRA adapter of a rank on all its layers, alternately.
    package func lora(tokens: Int, rank: Int) throws -> [TimedRuns] {
        let block = try TimedBlock(
            "layers.0", of: model, device: device, tokens: tokens, loraRank: rank)
        let operations = model.transformerConfig.operations(
            tokens: tokens, feedForward: try model.feedForwardWidth())
        var seconds: [[Double]] = [[], []]
        for run in 0...repetitions {
            for (index, withLoRA) in [false, true].enumerated() {
                let start = ContinuousClock.now
                try block.run(withLoRA: withLoRA)
                device.finish()
                if let failure = device.failure { throw failure }
                // The first pair warms the caches.
                if run > 0 { seconds[index].append((ContinuousClock.now - start).inSeconds) }
            }
        }
        return zip(["block of \(tokens) tokens", "with a LoRA of rank \(rank)"], seconds).map {
            TimedRuns(name: $0, operations: operations, seconds: $1)
        }
    }

    /// One evaluation of the whole transformer with a prompt of 60 tokens.
    package func step(width: Int, height: Int) throws -> TimedRuns {
        let plan = try MemoryPlan(model: model, precision: device.precision)
        try checkMemory(plan.transformerParameters, "the transformer of \(model.manifest.id)")
        let step = try TimedStep(
            of: model, device: device, width: width, height: height, promptTokens: 60)
        let operations = model.transformerConfig.stepOperations(
            imageTokens: step.tokens.image, captionTokens: step.tokens.caption,
            feedForward: try model.feedForwardWidth())
        return try time("step of \(width)x\(height)", operations) { try step.run() }
    }

    /// The text encoder with a prompt of `tokens` tokens.
    package func text(tokens: Int) throws -> TimedRuns {
        let config = model.textEncoderConfig
        let plan = try MemoryPlan(model: model, precision: device.precision)
        let embeddings = config.vocabularySize * config.hiddenSize
        try checkMemory(
            plan.textEncoderParameters - embeddings, "the text encoder of \(model.manifest.id)")
        let encoder = try TextEncoder(
            config: config, store: try model.textEncoderStore(), device: device,
            residency: .resident)
        let ids = (0..<tokens).map { Int32($0 * 7919 % config.vocabularySize) }
        return try time("text of \(tokens) tokens", config.operations(tokens: tokens)) {
            _ = try encoder.features(of: ids)
        }
    }

    /// Decoding of an image of the given size from its latents.
    package func decoder(width: Int, height: Int) throws -> TimedRuns {
        let config = model.autoencoderConfig
        let autoencoder = try Autoencoder(
            config: config, store: try model.autoencoderStore(), device: device)
        let (rows, columns) = (height / config.scale, width / config.scale)
        var generator = TorchGenerator(seed: 1)
        let latents = Planes(
            generator.normals(config.latentChannels * rows * columns),
            channels: config.latentChannels, height: rows, width: columns)
        return try time(
            "decoder of \(width)x\(height)", config.decodeOperations(height: rows, width: columns)
        ) { _ = try autoencoder.decode(latents) }
    }

    /// Complete images, each with another prompt.
    package func image(
        _ pipeline: Pipeline<Device>, width: Int, height: Int, steps: Int
    ) throws -> TimedRuns {
        let guidance = model.manifest.defaults.guidanceScale
        func input(_ run: Int) -> PipelineInput {
            PipelineInput(
                prompt: "a red apple, number \(run)", width: width, height: height, steps: steps,
                guidanceScale: guidance, seed: UInt64(run))
        }
        var run = 0
        return try time(
            "image of \(width)x\(height) in \(steps) \(steps == 1 ? "step" : "steps")",
            try pipeline.operations(input(0))
        ) {
            _ = try pipeline.generate(input(run))
            run += 1
        }
    }

    /// One evaluation of the whole transformer, and what each ControlNet adds to it, with a prompt of 60 tokens.
    ///
    /// Two layers of the transformer are loaded and timed, without nets and with nets of one and of two control layers;
    /// further layers take the time of a block, and further control layers the difference of these two.
    package func controls(width: Int, height: Int) throws -> [TimedRuns] {
        let config = model.transformerConfig
        let timed = try TimedControls(
            of: model, device: device, width: width, height: height, promptTokens: 60)
        let tokens = timed.tokens.image + timed.tokens.caption
        // Sorted, so that the shortest run is compared with the shortest.
        let plain = try time("", 0) { try timed.run(with: nil) }.seconds
        let block = try block(tokens: tokens).seconds
        let missing = Double(config.layers - TimedControls<Device>.loadedLayers)
        let operations = config.stepOperations(
            imageTokens: timed.tokens.image, captionTokens: timed.tokens.caption,
            feedForward: try model.feedForwardWidth())
        let whole = TimedRuns(
            name: "step of \(width)x\(height)", operations: operations,
            seconds: zip(plain, block).map { $0 + missing * $1 })
        var known: [ControlNetConfig.Refiner: [[Double]]] = [:]
        return try [whole]
            + TimedControls<Device>.Version.all.map { version in
                let nets =
                    try known[version.refiner]
                    ?? (1...2).map { layers in
                        let net = try timed.net(version.refiner, layers: layers)
                        return try time("", 0) { try timed.run(with: net) }.seconds
                    }
                known[version.refiner] = nets
                let seconds = plain.indices.map { run in
                    let (one, two) = (nets[0][run], nets[1][run])
                    return one - plain[run] + Double(version.layers - 1) * (two - one)
                }
                let counted = timed.operations(of: version, beside: config)
                func percent(_ share: Double) -> String { "+\((share * 1000).rounded() / 10) %" }
                let added = TimedRuns(name: "", operations: 0, seconds: seconds).median
                return TimedRuns(
                    name: "ControlNet \(version.name), \(percent(added / whole.median)), counted"
                        + " \(percent(Double(counted) / Double(operations)))",
                    operations: counted, seconds: seconds)
            }
    }

    /// The arithmetic of each sampler in 8 steps on the latents of an image.
    package func samplers(width: Int, height: Int) throws -> [TimedRuns] {
        let scale = model.autoencoderConfig.scale
        let count =
            model.transformerConfig.inChannels * (width / scale) * (height / scale)
        var generator = TorchGenerator(seed: 1)
        let (latents, velocity) = (generator.normals(count), generator.normals(count))
        let levels = NoiseSchedule.standard.levels(steps: 8, shift: 3)
        return try Sampler.allCases.map { sampler in
            let evaluations = sampler.evaluations(steps: 8)
            return try time(
                "\(sampler.rawValue), \(evaluations) evaluations on \(width)x\(height)",
                evaluations * count
            ) {
                var run = SamplerRun(
                    .init(sampler), levels: levels, latents: latents)
                while !run.isFinished { run.take(velocity) { generator.normals($0) } }
            }
        }
    }

    /// Rejects a part whose weights would not fit into memory, before they are created.
    private func checkMemory(_ parameters: Int, _ name: String) throws {
        let needed = parameters * device.precision.bytesPerWeight
        let available = MemoryPlan.freeBytes(on: device)
        guard needed <= available - available / 10 else {
            throw GenerationError(
                .busy,
                "\(name) needs about \(needed.megabyteText) of memory, but only"
                    + " \(available.megabyteText) are free; close other programs, or use a smaller"
                    + " precision.")
        }
    }

    private func time(
        _ name: String, _ operations: Int, _ body: () throws -> Void
    ) throws -> TimedRuns {
        try body()
        device.finish()
        let seconds = try (0..<repetitions).map { _ in
            let start = ContinuousClock.now
            try body()
            device.finish()
            if let failure = device.failure { throw failure }
            return (ContinuousClock.now - start).inSeconds
        }
        if !name.isEmpty { try profiler?(name, body) }
        return TimedRuns(name: name, operations: operations, seconds: seconds)
    }

    private func noise(_ rows: Int, _ columns: Int) -> Device.Values {
        var generator = TorchGenerator(seed: 1)
        return device.upload(
            Array(generator.normals(max(16, rows * columns)).prefix(rows * columns)), rows: rows,
            columns: columns)
    }
}
