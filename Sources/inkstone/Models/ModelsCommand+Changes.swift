// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Catalog
import Engine
import Foundation
import Hub
import ModelFiles
import Tensors
import ZImage

extension ModelsCommand {
    /// `inkstone models quantize NAME`: packs a model's weights in advance.
    struct Quantize: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Pack a model's weights for the kernels of this machine.",
            discussion: """
                The first start does the same, which makes it slower. Packed weights are kept in \
                the cache folder; the model's own files stay as they are.
                """)

        @Argument(help: ArgumentHelp("Name of a model, or its folder.", valueName: "name|folder"))
        var model: String

        @OptionGroup var options: ModelOptions

        @Option(
            help: ArgumentHelp(
                "Folder of packed weights; INKSTONE_CACHE or ~/.cache/inkstone if not given.",
                valueName: "folder"))
        var cacheDir: String?

        @Flag(help: "Print only errors.")
        var quiet = false

        func run() throws {
            let folder = try ModelOptions.open(model)
            guard var cache = WeightCacheOptions.cache(cacheDir.map { URL(filePath: $0) }) else {
                throw CommandError(
                    .notFound, "There is no folder for packed weights; name one with --cache-dir.")
            }
            // Small components are not cached otherwise; an explicit folder includes them.
            if cacheDir != nil { cache.minimum = 0 }
            guard options.device == .cpu else {
                throw ValidationError(
                    "weights are packed for the processor only; leave --device out.")
            }
            let device = try ModelOptions.backend(
                precision: try options.precision.resolved(for: folder), threads: options.threads)
            let progress = ProgressLine(quiet: quiet)
            let pipeline = try Pipeline(
                model: folder, device: device, promptCache: nil, weightCache: cache
            ) { progress.show(share: $0, label: "Packing") }
            progress.clear()
            guard !quiet else { return }
            for (part, origin) in pipeline.weightOrigins.sorted(by: { $0.key < $1.key }) {
                let text =
                    switch origin {
                    case .memory: "not cached: too small, or no space"
                    case .cache: "already packed"
                    case .newCache: "packed"
                    }
                print("\(part): \(text)")
            }
            let (files, bytes) = cache.contents
            print(
                "\(folder.manifest.id) in \(device.precision.rawValue): \(cache.folder.path) holds"
                    + " \(files) \(files == 1 ? "file" : "files"), \(bytes.byteText)")
        }
    }

    /// `inkstone models remove NAME`: deletes a model's folder.
    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete the folder of one of the user's models.")

        @Argument(help: ArgumentHelp("Name of the model's folder.", valueName: "name"))
        var model: String

        @Flag(help: "Do not ask for confirmation.")
        var yes = false

        func run() throws {
            let root = try ModelsCommand.userRoot()
            guard model != ModelLocator.embeddedModel else {
                throw CommandError(
                    .usage,
                    "'\(model)' comes with the program; only your own models can be removed.")
            }
            if !yes {
                guard isatty(STDIN_FILENO) == 1 else {
                    throw CommandError(
                        .usage, "Standard input is not a terminal; add --yes to delete '\(model)'.")
                }
                print("Delete \(root.appending(path: model).path)? [y/N] ", terminator: "")
                guard readLine()?.lowercased().hasPrefix("y") == true else { return }
            }
            try ModelRemoval.remove(model, from: root)
            print("\(model) was removed.")
        }
    }
}
