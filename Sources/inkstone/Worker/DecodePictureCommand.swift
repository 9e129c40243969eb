// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import Service

/// `inkstone decode-picture`: reads one picture that a client sent, started by `serve` where there is no
/// worker that could.
struct DecodePictureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode-picture",
        abstract: "Read a picture file for the process that started this one.",
        shouldDisplay: false)

    @Argument(help: "The picture file.")
    var source: String

    @Argument(help: "File to write pixels to.")
    var target: String

    func run() throws {
        try DecodedPicture.decode(URL(filePath: source), to: URL(filePath: target))
    }
}
