// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// `imgbench merge`: the parts of a run as one.
struct MergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Merge the results of several load generators that shared a plan.",
        discussion: """
            Each part is the result folder of imgbench run --part. The records are those of the parts, each \
            once, with times on the clock of the first; figures, audit and report are computed from them.
            """)

    @Argument(help: ArgumentHelp("Result folders, one of each part.", valueName: "run"))
    var folders: [String]

    @Option(help: ArgumentHelp("Result folder to create.", valueName: "folder"))
    var out: String

    mutating func validate() throws {
        guard folders.count > 1 else {
            throw ValidationError("merge needs at least two result folders, got \(folders.count).")
        }
    }

    func run() throws {
        let folder = ResultFolder(path: out)
        guard !FileManager.default.fileExists(atPath: folder.manifestFile.path) else {
            Perform.printError("\(out) has a result already; choose another folder with --out.")
            throw ExitStatus.couldNotRun
        }
        let manifest = try Reading.orExit {
            try RunMerge(folders.map { ResultFolder(path: $0) }).write(to: folder)
        }
        try Perform.finish(folder, manifest)
    }
}
