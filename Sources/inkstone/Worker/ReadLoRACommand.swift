// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Catalog
import Foundation

/// `inkstone read-lora`: reads the header and the thumbnail of a LoRA file; started by `serve`.
struct ReadLoRACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read-lora",
        abstract: "Read a LoRA file for the process that started this one.",
        shouldDisplay: false)

    @Flag(help: "Match the file's keys with the layers of the models.")
    var match = false

    @Option(help: "Folder of a model.")
    var model: [String] = []

    @Argument(help: "The LoRA file.")
    var source: String

    @Argument(help: "File to write the result to.")
    var target: String

    func run() throws {
        limitResources(memory: 4 << 30, seconds: 60)
        try LoRAFacts.write(
            of: URL(filePath: source), matching: match ? model.map { URL(filePath: $0) } : nil,
            to: URL(filePath: target))
    }
}
