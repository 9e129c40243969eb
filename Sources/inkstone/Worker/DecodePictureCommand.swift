// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import Service

/// `inkstone decode-picture`: decodes an uploaded image; started by `serve` if no worker is available.
struct DecodePictureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode-picture",
        abstract: "Decode an image file for the process that started this one.",
        shouldDisplay: false)

    @Argument(help: "The image file.")
    var source: String

    @Argument(help: "File to write pixels to.")
    var target: String

    func run() throws {
        limitResources(memory: 4 << 30, seconds: 60)
        try DecodedImageHeader.decode(URL(filePath: source), to: URL(filePath: target))
    }
}
