// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import Service

/// `inkstone restore`: a backup takes the place of a data folder's jobs, images and keys.
struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Put a backup in the place of a data folder's jobs, images and keys.",
        discussion: """
            The server of the folder must be stopped. Nothing is deleted: what was there before is in \
            the folder 'replaced-' and the time, inside the data folder. The backup is unchanged.

            'DATA/before-upgrade' is the backup that a newer version made before it upgraded the folder: \
            restore it to go back to the earlier version.
            """)

    @Argument(help: "The backup: a folder that 'inkstone backup' has made.")
    var backup: String

    @Option(
        help: ArgumentHelp(
            "The data folder; INKSTONE_DATA or ~/.local/share/inkstone/data if not given.",
            valueName: "folder"))
    var data: String?

    func run() throws {
        let folder = DataOptions.folder(data)
        let restored = try DataRestore.restore(URL(filePath: backup), to: folder)
        let images = "\(restored.images) image\(restored.images == 1 ? "" : "s")"
        print("restored the jobs and \(images) of \(backup) to \(folder.path)")
        if let replaced = restored.replaced {
            print("what was there before is in \(replaced.path); remove it when it is not needed")
        }
        switch restored.keys {
        case .none: break
        case .retained: print("the backup has no keys: those of the folder are still in use")
        case .restored:
            print(
                "the keys are those of the backup: revoke again what was revoked since it was made")
        }
    }
}
