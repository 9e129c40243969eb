// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Catalog
import Engine
import Foundation
import ModelFiles
import Parameters
import Tensors
import ZImage

/// `inkstone models`: lists, fetches, packs and removes models.
struct ModelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "List, show, fetch, pack and remove models.",
        discussion: """
            Models are folders in the diffusers layout, or folders of .safetensors and .gguf files. \
            They are looked for in the folders named by INKSTONE_MODELS, in \
            ~/.local/share/inkstone/models, and beside the program; new ones go into the first of \
            these.
            """,
        subcommands: [List.self, Show.self, Pull.self, Quantize.self, Remove.self])

    /// `inkstone models list`: a line for each model.
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the installed models.")

        func run() throws {
            let locator = ModelLocator()
            let entries = locator.entries
            if entries.isEmpty {
                complain(
                    "No models found in \(locator.roots.map(\.path).joined(separator: ", ")); put a"
                        + " model folder into one of these.")
            }
            let nets = ControlNetRegistry(
                folder: DataOptions.folder(nil).appending(path: "controlnets"),
                models: entries.map(\.folder), roots: locator.roots
            ).entries
            let rows =
                entries.filter { entry in
                    // A folder of nets is not a model; a model may have nets of its own.
                    let own = entry.folder.appending(path: "controlnets")
                    return !nets.contains { $0.isIn(entry.folder) && !$0.isIn(own) }
                }.map { entry -> [String] in
                    do {
                        let model = try entry.open()
                        let defaults = model.manifest.defaults
                        return [
                            model.manifest.id, "\(defaults.size)",
                            "\(defaults.steps) steps", entry.folder.path,
                        ]
                    } catch {
                        return [entry.name, "unusable", "", "\(error)"]
                    }
                }
                + nets.map { [$0.name, "ControlNet", "", $0.url.path] }
            let widths = (0..<3).map { column in rows.map { $0[column].count }.max() ?? 0 }
            for row in rows {
                let cells = zip(row, widths).map { cell, width in
                    cell + String(repeating: " ", count: width - cell.count)
                }
                print((cells + [row[3]]).joined(separator: "  "))
            }
        }
    }

    /// `inkstone models show NAME`: details of one model.
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a model's sizes, parameters, precision and expected memory.")

        @Argument(help: ArgumentHelp("Name of a model, or its folder.", valueName: "name|folder"))
        var model = ModelLocator.embeddedModel

        @OptionGroup var options: ModelOptions

        func run() throws {
            let folder = try ModelOptions.open(model)
            try folder.checkTensors()
            let device = try options.makeBackend(for: folder)
            let plan = try MemoryPlan(model: folder, precision: device.precision)
            let description = ModelDescription(
                model: folder, parameterCount: plan.parameterCount, precision: device.precisionName,
                kernels: device.kernelsName)
            let (defaults, limits) = (description.defaults, description.limits)
            let rows: [(String, String)] =
                [
                    ("name", "\(description.name) (\(description.id))"),
                    ("folder", folder.url.path),
                    ("licence", description.license),
                    (
                        "parameters",
                        "\(plan.parameterCount.grouped): transformer"
                            + " \(plan.transformerParameters.grouped), text encoder"
                            + " \(plan.textEncoderParameters.grouped), autoencoder"
                            + " \(plan.autoencoderParameters.grouped)"
                    ),
                    ("precision", "\(description.precision) with kernels \(description.kernels)"),
                    ("memory", plan.summary(on: device)),
                    ("cache", WeightCacheOptions.summary ?? ""),
                    (
                        "defaults",
                        "\(defaults.size), \(defaults.steps) steps, guidance \(defaults.guidanceScale)"
                    ),
                    (
                        "trained at",
                        description.sizes.map(\.description).joined(separator: ", ")
                    ),
                    (
                        "limits",
                        "up to \(limits.maximumWidth)x\(limits.maximumHeight) in multiples of"
                            + " \(limits.sizeMultiple), \(limits.maximumSteps) steps,"
                            + " \(limits.maximumCount) images per request"
                    ),
                ]
                + ControlNetRegistry(
                    folder: DataOptions.folder(nil).appending(path: "controlnets"),
                    models: [folder.url], roots: ModelLocator().roots
                ).entries.compactMap { net in
                    // Those of other models are left out.
                    (try? ControlNetPlan(of: net.url, for: folder, precision: device.precision))
                        .map { ("ControlNet", "\(net.name): \($0.summary)") }
                }
            for (name, text) in rows where !text.isEmpty {
                print(name + String(repeating: " ", count: 12 - name.count) + text)
            }
        }
    }
}

extension ControlNetPlan {
    /// What it is and takes, on one line.
    fileprivate var summary: String {
        "version \(config.version), \(parameterCount.grouped) parameters,"
            + " \(weightBytes.byteText) of weights, \(Int((share * 100).rounded())) % more work a"
            + " step" + (config.takesInpainting ? ", inpaints" : "")
    }
}
