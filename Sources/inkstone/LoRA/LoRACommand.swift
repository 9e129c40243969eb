// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Catalog
import Engine
import Foundation
import ModelFiles
import Tensors
import ZImage

/// `inkstone lora`: inspects LoRA files, and merges them into models.
struct LoRACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lora", abstract: "Inspect LoRA files, or merge them into a model.",
        subcommands: [Inspect.self, Merge.self])

    /// `inkstone lora inspect FILE`: formats, ranks and keys.
    struct Inspect: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the formats and ranks of a LoRA file, and which keys match a model.")

        @Argument(help: ArgumentHelp("LoRA file.", valueName: "file"))
        var file: String

        @Option(help: ArgumentHelp("Name of a model, or its folder.", valueName: "name|folder"))
        var model = ModelLocator.embeddedModel

        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            let lora = try LoRAFile(url: URL(filePath: file))
            let folder = try ModelOptions.open(model)
            let contents = try lora.contents(for: try LoRATargets(model: folder))
            let report = try LoRAInspection(lora, contents, model: folder.manifest.id)
            print(json ? try report.json() : report.text)
        }
    }

    /// `inkstone lora merge`: writes a model with LoRA files merged.
    struct Merge: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write a model with LoRA files merged, in the diffusers layout.")

        @Option(help: ArgumentHelp("Name of a model, or its folder.", valueName: "name|folder"))
        var model = ModelLocator.embeddedModel

        @Option(
            help: ArgumentHelp(
                "LoRA file, followed by :SCALE if not 1. May be given several times.",
                valueName: "file[:scale]"))
        var lora: [String] = []

        @Option(help: ArgumentHelp("Output folder; it must not exist.", valueName: "folder"))
        var output: String

        @Flag(help: "Write modified weights in F32: bf16 would lose small changes.")
        var f32 = false

        @Option(
            parsing: .unconditional,
            help: ArgumentHelp("Number of threads; all processors if not given.", valueName: "n")
        )
        var threads: Int?

        mutating func validate() throws {
            if lora.isEmpty { throw ValidationError("Expected at least one --lora, got none.") }
            _ = try lora.map(LoRAOption.parse)
            try check("--threads", threads, in: 1...1024)
        }

        func run() throws {
            let folder = try ModelOptions.open(model)
            try folder.checkTensors()
            let device = try CPUBackend(
                precision: .f32,
                threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
            let merged = try MergedCheckpoint(
                model: folder, targets: try LoRATargets(model: folder),
                loras: try lora.map(LoRAOption.parse), device: device)
            try merged.write(to: URL(filePath: output), isWide: f32)
            merged.reports.compactMap(\.warning).forEach(complain)
            print(output)
        }
    }
}
