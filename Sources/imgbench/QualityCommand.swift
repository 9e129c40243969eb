// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// `imgbench quality`: the distance of images from their references.
struct QualityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quality",
        abstract: "Compare images with their references: PSNR, SSIM, MS-SSIM, GMSD, CIEDE2000.",
        discussion: """
            With one folder, the result of a sweep of steps or precisions: its levels are compared \
            with the reference level, paired by prompt and seed. With two folders: images are paired \
            by file name.
            """)

    @Argument(help: "Result folder, or the folder of the references.")
    var first: String

    @Argument(help: "Folder of the images to compare.")
    var second: String?

    @Flag(help: "Print JSON instead of a table.")
    var json = false

    func run() throws {
        if let second {
            let summary = try Reading.orExit {
                try QualityReport.folders(URL(filePath: first), URL(filePath: second))
            }
            print(json ? try Reading.json(summary) : summary.text, terminator: "")
            return
        }
        let folder = ResultFolder(path: first)
        let report = try Reading.orExit {
            try QualityReport(folder, try RunEvidence(folder))
        }
        guard let report else {
            Perform.printError(
                "\(first) is not a sweep of steps or precisions; run imgbench sweep steps, or name"
                    + " two folders of images.")
            throw ExitStatus.couldNotRun
        }
        print(json ? try Reading.json(report) : report.markdown, terminator: "")
    }
}
