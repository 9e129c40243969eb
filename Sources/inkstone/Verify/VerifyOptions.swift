// Part of Inkstone. Licence: see LICENSE.

public import ArgumentParser
import Foundation
import Hub
import ModelFiles
import Parameters
public import Tensors

extension Precision: ExpressibleByArgument {}

/// Which images are made.
struct VerifiedImageOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Size of the images, such as 256x256. May be given several times; 256x256 and 1024x1024 if not"
                + " given.", valueName: "size"))
    var size: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Steps; the model's default if not given.", valueName: "n"))
    var steps: Int?

    @Option(
        help:
            "Precision of matrix products. May be given several times; all that fit into memory if not given."
    )
    var precision: [Precision] = []

    @Option(
        help: ArgumentHelp(
            "Where images are made: cpu, vulkan (the best GPU), vulkan:1 or vulkan:radeon. May be given several"
                + " times; cpu and all GPUs if not given.", valueName: "cpu|vulkan[:gpu]"))
    var device: [DeviceOption] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of threads; all processors if not given.", valueName: "n"))
    var threads: Int?

    mutating func validate() throws {
        try check("--steps", steps, in: 1...1000)
        try check("--threads", threads, in: 1...1024)
        for text in size where PixelSize(text) == nil {
            throw ValidationError("--size must be a size such as 256x256, got '\(text)'.")
        }
    }

    /// The sizes, each once.
    var sizes: [PixelSize] {
        let chosen = size.compactMap { PixelSize($0) }
        return chosen.isEmpty ? VerificationPrompts.sizes : chosen.withoutRepetitions
    }

    /// The precisions, each once.
    var precisions: [Precision] {
        precision.isEmpty ? Precision.allCases : precision.withoutRepetitions
    }
}

extension Array where Element: Hashable {
    /// The elements, each once, in the order of their first places.
    var withoutRepetitions: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}

/// Where the list of published files comes from.
struct PublishedFilesOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Compare with the files of this repository, or of z-image-turbo or z-image; if not given, with"
                + " the list that 'models pull' stored.", valueName: "owner/name"))
    var repository: String?

    @Option(
        help: ArgumentHelp(
            "Branch, tag or commit of --repository; the newest if not given.",
            valueName: "revision"))
    var revision: String?

    @OptionGroup var hub: HubOptions

    mutating func validate() throws {
        if repository == nil, revision != nil || hub.endpoint != nil {
            throw ValidationError("--revision and --endpoint need --repository.")
        }
    }

    /// The list, or `nil` where there is none.
    ///
    /// - Throws: `HubError`.
    func list(of folder: URL) async throws -> PublishedFiles? {
        guard let repository else { return PublishedFiles(recordedIn: folder) }
        return try await PublishedFiles(
            of: repository, revision: revision, from: hub.makeEndpoint())
    }
}

/// What the images are compared with.
struct ReferenceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Python interpreter with torch, diffusers and transformers; PYTHON or python3 if not given.",
            valueName: "program"))
    var python: String?

    @Option(
        help: ArgumentHelp(
            "Compare with the reference's images in this file instead of making them.",
            valueName: "file"))
    var reference: String?

    @Option(
        help: ArgumentHelp(
            "Keep the reference's images in this file, for --reference on another machine.",
            valueName: "file"))
    var keepReference: String?

    @Flag(help: "Do not compare with the reference.")
    var noReference = false

    mutating func validate() throws {
        if noReference, python != nil || reference != nil || keepReference != nil {
            throw ValidationError(
                "--no-reference excludes --python, --reference and --keep-reference.")
        }
        if reference != nil, python != nil || keepReference != nil {
            throw ValidationError("--reference excludes --python and --keep-reference.")
        }
    }

    /// The reference's images, or `nil` without a reference, of which the report has a note then.
    ///
    /// - Throws: `CommandError`, `CheckpointError`.
    func tensors(
        of model: ModelDirectory, _ job: ReferenceJob, _ report: inout VerificationReport,
        quiet: Bool
    ) throws -> ReferenceTensors? {
        if noReference { return nil }
        if let reference {
            let tensors = try ReferenceTensors(URL(filePath: reference))
            for image in job.images where try !tensors.has(image) {
                throw CommandError(
                    .usage,
                    "'\(reference)' has no image \(image.name) of these settings; make it again with"
                        + " --keep-reference and the same --size and --steps.")
            }
            return tensors
        }
        guard model.isDiffusersFolder else {
            report.notes.append(
                "No comparison with the reference: diffusers reads folders in its own layout only.")
            return nil
        }
        guard let run = try ReferenceRun.find(python) else {
            report.notes.append(
                "No comparison with the reference: Python has not got torch, diffusers and"
                    + " transformers (pip install torch diffusers transformers), or is not python3;"
                    + " --python names another one.")
            return nil
        }
        let output: URL
        if let keepReference {
            let files = OutputFiles(path: keepReference, count: 1)
            try files.check()
            output = URL(filePath: files.paths[0])
        } else {
            output = FileManager.default.temporaryDirectory.appending(
                path: "inkstone-reference-\(UUID().uuidString).safetensors")
        }
        // Mapped files stay readable when they are removed.
        defer { if keepReference == nil { try? FileManager.default.removeItem(at: output) } }
        do { try run.make(job, of: model.url, to: output, quiet: quiet) } catch let error
            as CommandError
        {
            // Its message may contain paths, which the report must not.
            complain(error.description)
            report.notes.append(
                "No comparison with the reference: it failed, for a reason that was printed on"
                    + " standard error.")
            return nil
        }
        return try ReferenceTensors(output)
    }
}

extension ModelDirectory {
    /// Whether it is a folder in the layout that diffusers reads.
    fileprivate var isDiffusersFolder: Bool {
        FileManager.default.fileExists(atPath: url.appending(path: "model_index.json").path)
    }
}
