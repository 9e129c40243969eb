// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Catalog
import Engine
import Foundation
import Hub
import Imaging
import ModelFiles
import Parameters
import Tensors
import ZImage

/// `inkstone verify`: shows whether a model is whole and runs as it does elsewhere.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check a model's files, and compare its images with those of diffusers.",
        discussion: """
            Checks the files against the hub's list, every number of the weights, the tokenizer's ids, \
            and four fixed prompts on every device, in every size and precision, with timings and memory. \
            Where Python has torch, diffusers and transformers, the same images are made there and \
            compared tensor by tensor; for a large model that takes longer than all the rest.

            The report contains no prompts of yours and no paths, so that it can be sent to others. \
            The exit status is 65 if something is wrong with the model's files, and 70 if it is with \
            the images alone.

            Examples:
              inkstone verify Z-Image-Turbo
              inkstone verify ~/models/turbo --repository z-image-turbo --size 256x256
            """)

    @Argument(help: ArgumentHelp("Name of a model, or its folder.", valueName: "name|folder"))
    var model = ModelLocator.embeddedModel

    @OptionGroup(title: "Images") var images: VerifiedImageOptions
    @OptionGroup(title: "Reference") var comparison: ReferenceOptions
    @OptionGroup(title: "Published files") var published: PublishedFilesOptions

    @OptionGroup var weights: WeightCacheOptions

    @Option(
        help: ArgumentHelp(
            "Report: text, and the same as JSON. An existing file is replaced.", valueName: "file"))
    var output = "inkstone-verify.md"

    @Flag(help: "Print the report as one JSON object.")
    var json = false

    @Flag(help: "Print only errors and the JSON object.")
    var quiet = false

    func run() async throws {
        let folder = try ModelLocator().locate(model)
        guard FileKind.barrier(before: folder.path) == nil else {
            throw CheckpointError(denied: folder)
        }
        guard FileKind(folder) != .nothing else {
            throw CommandError(
                .notFound, "The folder '\(folder.path)' does not exist; check the path.")
        }
        let destination = OutputFiles(path: output, count: 1)
        try destination.check()
        var report = VerificationReport()
        let devices = try images.devices { report.notes.append($0) }
        let list = try await published.list(of: folder)
        try verify(folder, list, devices, &report)
        try ImageFile.writeAtomically(
            Array(try report.document().utf8), to: destination.paths[0])
        if json {
            print(try report.json())
        } else if !quiet {
            print(report.text)
            print("\nThe report is in \(output).")
        }
        guard let fault = report.faults.first else { return }
        let count = report.faults.count
        let isAboutImages = report.faults.allSatisfy { [.images, .reference].contains($0.area) }
        throw CommandError(
            isAboutImages ? .failed : .badFile,
            "\(count) fault\(count == 1 ? "" : "s"): \(fault.subject): \(fault.text)"
                + (count > 1 ? "; the report lists all" : ""))
    }

    private func verify(
        _ folder: URL, _ list: PublishedFiles?, _ devices: [VerifiedDevice],
        _ report: inout VerificationReport
    ) throws {
        let progress = ProgressLine(quiet: quiet)
        let files = FolderVerification(folder: folder, progress: progress)
        files.checkFiles(list, &report)
        let directory: ModelDirectory
        do { directory = try ModelDirectory(url: folder) } catch {
            report.add(.configuration, "model", files.redacted(error))
            return
        }
        report.model = try? .init(directory)
        let isLoadable = files.checkTensors(directory, &report)
        files.checkTokenizer(directory, &report)
        guard isLoadable, report.tokenizer != nil else {
            report.notes.append("No images: the model cannot be loaded.")
            return
        }
        try verifyImages(directory, devices, progress, &report)
    }

    private func verifyImages(
        _ directory: ModelDirectory, _ devices: [VerifiedDevice], _ progress: ProgressLine,
        _ report: inout VerificationReport
    ) throws {
        let plan = try MemoryPlan(model: directory, precision: .f32)
        // The limits are the same on every device and in every precision.
        let description = ModelDescription(
            model: directory, parameterCount: plan.parameterCount,
            precision: Precision.f32.rawValue, kernels: "")
        var verification = ImageVerification(
            model: directory, weightCache: weights.cache, sizes: images.sizes,
            steps: images.steps, threads: images.threads, reference: nil, progress: progress)
        let requests = verification.requests(of: description) { report.notes.append($0) }
        guard !requests.isEmpty else { return }
        let job = ImageVerification.job(requests)
        if let tensors = try comparison.tensors(
            of: directory, job, &report, quiet: quiet)
        {
            verification.reference = tensors
            report.reference = .init(versions: tensors.versions, precision: tensors.precision)
        }
        Interrupt.install()
        Interrupt.waitForSteps()
        for device in devices {
            for precision in images.precisions {
                try verification.run(device, precision, &report)
            }
        }
        progress.clear()
    }
}
