// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import Service

/// `inkstone backup`: a copy of the data folder.
struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy jobs, images and keys of a data folder, also while a server uses it.",
        discussion: """
            To restore, run 'inkstone restore COPY', or give the copy to 'inkstone serve --data'.
            """)

    @Argument(help: "Target folder; it must not exist.")
    var target: String

    @Option(
        help: ArgumentHelp(
            "The data folder; INKSTONE_DATA or ~/.local/share/inkstone/data if not given.",
            valueName: "folder"))
    var data: String?

    func run() throws {
        let count = try JobBackup.copy(
            DataOptions.folder(data), to: URL(filePath: target))
        print("copied the jobs and \(count) image\(count == 1 ? "" : "s") to \(target)")
    }
}
