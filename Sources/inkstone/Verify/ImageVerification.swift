// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Service
import Tensors
import VulkanTensors
import ZImage

/// Makes the fixed images on one device in one precision, measures them, and compares them with the reference.
struct ImageVerification {
    let model: ModelDirectory
    let weightCache: WeightCache?
    let sizes: [PixelSize]
    let steps: Int?
    let threads: Int?
    /// What the images are compared with; `nil` compares nothing.
    var reference: ReferenceTensors?
    let progress: ProgressLine

    /// The requests for all images that the model allows; `refused` is called with each size that it does not.
    func requests(
        of description: ModelDescription, refused: (String) -> Void
    ) -> [(index: Int, request: ImageRequest)] {
        sizes.flatMap { size -> [(index: Int, request: ImageRequest)] in
            do {
                return try VerificationPrompts.all.indices.map {
                    (
                        $0,
                        try VerificationPrompts.request(
                            $0, size: size, steps: steps, of: description)
                    )
                }
            } catch {
                refused("No images of \(size): \(error)")
                return []
            }
        }
    }

    /// What the reference is asked for.
    static func job(_ requests: [(index: Int, request: ImageRequest)]) -> ReferenceJob {
        ReferenceJob(images: requests.map { Self.job($0.index, $0.request) })
    }

    private static func job(_ index: Int, _ request: ImageRequest) -> ReferenceJob.Image {
        .init(
            name: name(index, request.size), prompt: request.prompt,
            negativePrompt: request.negativePrompt, width: request.size.width,
            height: request.size.height, steps: request.steps, seed: request.seed,
            guidanceScale: request.guidanceScale, cfgNormalization: request.cfgNormalization,
            cfgTruncation: request.cfgTruncation)
    }

    /// Name of an image in reports: `2-256x256`.
    private static func name(_ index: Int, _ size: PixelSize) -> String { "\(index + 1)-\(size)" }

    /// Loads the model and makes all images.
    ///
    /// What fails is added to the report as a fault; too little memory is a note.
    ///
    /// - Throws: `CancellationError`, or `BackendError` if the processor has no such kernels.
    func run(
        _ device: VerifiedDevice, _ precision: Precision, _ report: inout VerificationReport
    ) throws {
        switch device {
        case .cpu:
            try run(
                on: try ModelOptions.backend(precision: precision, threads: threads),
                named: device.name, &report)
        case .vulkan(let number):
            let backend: VulkanBackend
            do { backend = try VulkanBackend(.number(number), precision: precision) } catch {
                record(error, of: "\(device.name) \(precision.rawValue)", in: &report)
                return
            }
            if let fault = backend.matrixFault {
                report.notes.append(
                    "The matrix instructions of \(device.name) are not used: \(fault)")
            }
            try run(on: backend, named: device.name, &report)
        }
    }

    private func run(
        on device: some Backend, named deviceName: String, _ report: inout VerificationReport
    ) throws {
        defer { progress.clear() }
        let label = "\(deviceName) \(device.precisionName)"
        do {
            let start = ContinuousClock.now
            let pipeline = try Pipeline(
                model: model, device: device, promptCache: nil, weightCache: weightCache
            ) { progress.show(share: $0, label: "Loading on \(label)") }
            let engine = InferenceEngine(pipeline: pipeline)
            report.runs.append(
                .init(
                    device: deviceName, precision: device.precisionName,
                    kernels: device.kernelsName,
                    threads: device.threads, loadSeconds: (ContinuousClock.now - start).inSeconds))
            let requests = requests(of: engine.description) { _ in }
            for (index, request) in requests {
                let name = Self.name(index, request.size)
                do { try make(index, request, engine, label, &report) } catch let error
                    where
                    !(error is CancellationError || error is MemoryError
                    || error is any DeviceError)
                {
                    record(error, of: "\(label) \(name)", in: &report)
                }
            }
            if let first = requests.first {
                try compareBatch(first.request, engine, label, &report)
            }
        } catch let error where !(error is CancellationError) {
            record(error, of: label, in: &report)
        }
    }

    /// Adds an error to the report: a note if the machine or the device has too little memory, else a fault.
    private func record(
        _ error: any Error, of label: String, in report: inout VerificationReport
    ) {
        if error is MemoryError || (error as? any DeviceError)?.isOutOfMemory == true {
            report.notes.append("Not all images on \(label): \(error)")
        } else {
            let folder = FolderVerification(folder: model.url, progress: progress)
            report.add(.images, label, folder.redacted(error))
        }
    }

    private func make(
        _ index: Int, _ request: ImageRequest, _ engine: InferenceEngine<some Backend>,
        _ runLabel: String, _ report: inout VerificationReport
    ) throws {
        let name = Self.name(index, request.size)
        let run = report.runs.count - 1
        let label = "\(runLabel) \(name)"
        ProcessMemory.resetPeak()
        let (images, trace) = try draw(
            request, engine, tracing: reference != nil, label: label)
        guard let image = images.first else { return }
        if Set(image.image.pixels).count == 1 {
            report.add(.images, label, "all pixels are equal, expected an image")
        }
        var comparison: ReferenceComparison?
        if let reference, let trace {
            comparison = try ReferenceComparison(
                of: image, trace, with: reference, named: name, precision: engine.precision)
            for fault in comparison?.faults ?? [] { report.add(.reference, label, fault) }
        }
        let steps = image.seconds.steps.sorted()
        report.runs[run].images.append(
            .init(
                prompt: index + 1, size: request.size.description, steps: request.steps,
                seed: request.seed, textSeconds: image.seconds.text,
                stepSeconds: steps.isEmpty ? 0 : steps[steps.count / 2],
                decodeSeconds: image.seconds.decode, totalSeconds: image.seconds.total,
                peakBytes: ProcessMemory.peak,
                deviceBytes: (engine.pipeline.device as? VulkanBackend)?.device.memoryBytes
                    .allocated,
                sha256: image.pixelDigest, reference: comparison))
    }

    /// Checks that the first image has the same bytes when another one shares its steps.
    private func compareBatch(
        _ request: ImageRequest, _ engine: any LocalEngine, _ label: String,
        _ report: inout VerificationReport
    ) throws {
        let run = report.runs.count - 1
        guard let alone = report.runs[run].images.first else { return }
        let pair = ImageRequest(parameters: request.parameters, count: 2)
        let (images, _) = try draw(pair, engine, tracing: false, label: "a batch of two")
        let isEqual = images.first?.pixelDigest == alone.sha256
        report.runs[run].isBatchInvariant = isEqual
        if !isEqual {
            report.add(
                .images, "\(label) \(Self.name(0, request.size))",
                "it has other bytes in a batch of two than alone")
        }
    }

    private func draw(
        _ request: ImageRequest, _ engine: any LocalEngine, tracing: Bool, label: String
    ) throws -> (images: [GeneratedImage], trace: Trace?) {
        var options = RunOptions()
        options.previews = false
        let traces = TraceBox()
        if tracing { options.onTrace = { traces.trace = $0 } }
        var images: [GeneratedImage] = []
        var done = 0
        try engine.run(request, options: options, isCancelled: { Interrupt.isRaised }) { event in
            switch event {
            case .step(_, _, let steps, let seconds):
                done += 1
                progress.show(
                    step: done, of: steps * request.count, secondsPerStep: seconds, label: label)
            case .image(let image): images.append(image)
            default: break
            }
        }
        return (images, traces.trace)
    }
}
