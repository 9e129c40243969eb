// Part of Inkstone. Licence: see LICENSE.

import Basics
package import Catalog
import Foundation
import Imaging
import Parameters
package import Tensors
package import ZImage

/// A running request: its images in progress, and the number of tokens that it was served.
package final class ScheduledJob<Device: Backend> {
    /// One image between its first step and its last.
    final class Lane {
        let image: Int
        var generation: Generation<Device>
        /// Seconds of each step, by the share of the tokens.
        var stepSeconds: [Double] = []
        /// Seconds of enlarging the image for its second pass.
        var enlargingSeconds = 0.0

        init(image: Int, generation: Generation<Device>) {
            self.image = image
            self.generation = generation
        }
    }

    let request: ImageRequest
    /// LoRA files that the request may use.
    let loras: LoRARegistry
    /// ControlNets that the request may use.
    let controlNets: ControlNetRegistry
    let options: RunOptions
    let isCancelled: () -> Bool
    let onEvent: (JobEvent) -> Void
    /// Called once at the end; without an error on success.
    let onEnd: ((any Error)?) -> Void

    /// Images in progress, in order.
    var lanes: [Lane] = []
    /// Index of the next image to begin.
    var nextImage = 0
    /// Number of delivered images.
    var delivered = 0
    /// Number of tokens served, starting from that of the least served request at its arrival.
    var service = 0

    package init(
        _ request: ImageRequest, loras: LoRARegistry = LoRARegistry(),
        controlNets: ControlNetRegistry = ControlNetRegistry(), options: RunOptions,
        isCancelled: @escaping () -> Bool,
        onEvent: @escaping (JobEvent) -> Void,
        onEnd: @escaping ((any Error)?) -> Void
    ) {
        self.request = request
        self.loras = loras
        self.controlNets = controlNets
        self.options = options
        self.isCancelled = isCancelled
        self.onEvent = onEvent
        self.onEnd = onEnd
    }

    var hasStarted: Bool { nextImage > 0 }
    var isDelivered: Bool { delivered == request.count }

    /// Encodes the prompts of the next image and draws its noise.
    func openLane(on pipeline: Pipeline<Device>) throws {
        let lane = Lane(
            image: nextImage,
            generation: try pipeline.begin(try input(nextImage), sibling: lanes.last?.generation))
        nextImage += 1
        lanes.append(lane)
    }

    /// Reports the steps of a lane that follow step `before`: one that was evaluated, and those that were left out after it.
    func reportSteps(
        of lane: Lane, after before: Int, on pipeline: Pipeline<Device>, seconds: Double
    ) {
        let generation = lane.generation
        for step in (before + 1)...generation.step {
            onEvent(
                .step(
                    image: lane.image, step: step, steps: generation.steps,
                    seconds: step == before + 1 ? seconds : 0))
        }
        if options.previews, !generation.isFinished, !generation.isBetweenTiles,
            let preview = pipeline.preview(generation)
        {
            onEvent(.preview(image: lane.image, step: generation.step, preview))
        }
    }

    /// Delivers a decoded image and closes its lane.
    func deliver(
        _ image: RGBImage, of lane: Lane, from pipeline: Pipeline<Device>, decodeSeconds: Double
    ) {
        lanes.removeAll { $0 === lane }
        let decodeSeconds = decodeSeconds + lane.enlargingSeconds
        delivered += 1
        let generation = lane.generation
        if let trace = generation.trace { options.onTrace?(trace) }
        var made = GeneratedImage(
            index: lane.image, seed: request.parameters.image(at: lane.image).seed, image: image,
            pixelDigest: SHA256.hexadecimal(image.pixels),
            promptTruncated: generation.promptTruncated,
            seconds: Timings(
                text: generation.inputSeconds, steps: lane.stepSeconds, decode: decodeSeconds,
                total: lane.stepSeconds.reduce(generation.inputSeconds + decodeSeconds, +)))
        made.loras = generation.loraReports.map { LoRANote($0) }
        made.origin = ImageOrigin(pipeline.device)
        onEvent(.image(made))
    }

    private func input(_ index: Int) throws -> PipelineInput {
        var input = PipelineInput(request.parameters.image(at: index))
        input.source = request.source?.image
        input.loras = try request.loras.map {
            LoRASource(
                url: try loras.find($0.name).url, scale: $0.scale, textScale: $0.textScale)
        }
        input.loras += options.loras
        // The images of a request share their controls while any of them is in progress.
        if lanes.isEmpty { input.controls = try request.controls.map(control) }
        input.mask = request.source?.mask
        input.noise = options.noise
        input.keepsTrace = options.onTrace != nil
        return input
    }

    /// The net of a control, and its decoded images.
    private func control(_ parameters: ControlParameters) throws -> ControlSource {
        func image(_ file: Data?) throws -> RGBImage? {
            try file.map { try ImageDecoder.decode([UInt8]($0)).flattened() }
        }
        var source = ControlSource(
            url: try controlNets.find(parameters.model).url, image: try image(parameters.map),
            strength: parameters.strength, start: parameters.start, end: parameters.end)
        if let picture = try image(parameters.source), let mask = try image(parameters.mask) {
            source.repaint = .init(image: picture, mask: mask)
        }
        return source
    }
}

extension LoRANote {
    /// The summary of a report.
    package init(_ report: LoRAReport) {
        self.init(
            name: LoRASource.name(of: report.name[...]), scale: report.scale,
            textScale: report.textScale, factors: report.factors, matched: report.matched,
            unmatched: report.unmatched.count, unused: report.unused.count, hash: report.hash,
            warning: report.warning)
    }
}
