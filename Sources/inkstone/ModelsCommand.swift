// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Engine
import Foundation
import ModelFiles
import Tensors
import ZImage

/// `inkstone models`: what there is.
struct ModelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "List models, or show one.",
        subcommands: [List.self, Show.self])

    /// `inkstone models list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the models that are here.")

        func run() throws {
            let folders = ModelLocator().all()
            if folders.isEmpty { print("no models found") }
            for folder in folders {
                do {
                    let model = try ModelDirectory(url: folder)
                    let defaults = model.manifest.defaults
                    print(
                        "\(model.manifest.id)  \(defaults.width)x\(defaults.height),"
                            + " \(defaults.steps) steps  \(folder.path)")
                } catch {
                    print("\(folder.lastPathComponent)  unusable: \(error)")
                }
            }
        }
    }

    /// `inkstone models show NAME`
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a model's sizes, parameters, precision and expected memory.")

        @Argument(help: "Name of a model, or its folder.")
        var model = ModelLocator.embeddedModel

        @OptionGroup var options: ModelOptions

        func run() throws {
            let directory = try ModelDirectory(url: try ModelLocator().locate(model))
            try directory.checkTensors()
            let manifest = directory.manifest
            let precision = options.precision.resolved
            let plan = try MemoryPlan(model: directory, precision: precision)
            let defaults = manifest.defaults
            let sizes = manifest.sizes.map { "\($0.width)x\($0.height)" }
            let rows: [(String, String)] = [
                ("name", "\(manifest.name) (\(manifest.id))"),
                ("folder", directory.url.path),
                ("licence", manifest.license),
                (
                    "parameters",
                    "\(Self.grouped(plan.parameterCount)): transformer"
                        + " \(Self.grouped(plan.transformerParameters)), text encoder"
                        + " \(Self.grouped(plan.textEncoderParameters)), autoencoder"
                        + " \(Self.grouped(plan.autoencoderParameters))"
                ),
                ("precision", "\(precision.rawValue) on this machine"),
                (
                    "memory",
                    "weights \(Self.bytes(plan.residentBytes)), or"
                        + " \(Self.bytes(plan.streamedBytes)) with the text encoder left in its"
                        + " files; about \(Self.bytes(plan.activationBytes)) more while drawing at"
                        + " the default size"
                ),
                (
                    "defaults",
                    "\(defaults.width)x\(defaults.height), \(defaults.steps) steps, guidance"
                        + " \(defaults.guidanceScale)"
                ),
                ("sizes", sizes.joined(separator: ", ")),
            ]
            for (name, text) in rows {
                let padding = String(repeating: " ", count: max(1, 12 - name.count))
                print(name + padding + text)
            }
        }

        private static func grouped(_ number: Int) -> String {
            var digits = String(number)
            var groups: [String] = []
            while digits.count > 3 {
                groups.insert(String(digits.suffix(3)), at: 0)
                digits.removeLast(3)
            }
            return ([digits] + groups).joined(separator: ",")
        }

        private static func bytes(_ count: Int) -> String {
            count >= 1_000_000_000
                ? "\((Double(count) / 1e8).rounded() / 10) GB"
                : "\((Double(count) / 1e5).rounded() / 10) MB"
        }
    }
}
