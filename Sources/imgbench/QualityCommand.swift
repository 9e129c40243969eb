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
            by file name. --scorer runs a command that reads one JSON object a line with prompt, image and \
            reference, and prints a number or an object of numbers for each.
            """)

    @Argument(help: "Result folder, or the folder of the references.")
    var first: String

    @Argument(help: "Folder of the images to compare.")
    var second: String?

    @Option(
        help: ArgumentHelp(
            "Command that scores images, for instance 'python clip.py'; its means are stored with the run.",
            valueName: "command"))
    var scorer: String?

    @Flag(help: "Print JSON instead of a table.")
    var json = false

    func run() throws {
        if let scorer, second == nil { try score(ExternalScorer(command: scorer)) }
        if let second {
            let summary = try Reading.orExit {
                try QualityReport.folders(URL(filePath: first), URL(filePath: second))
            }
            print(json ? try Reading.json(summary) : summary.text, terminator: "")
            if let scorer {
                let means = try Reading.orExit {
                    try QualityReport.scores(
                        URL(filePath: first), URL(filePath: second),
                        scorer: ExternalScorer(command: scorer))
                }
                print(means, terminator: "")
            }
            return
        }
        let folder = ResultFolder(path: first)
        let report = try Reading.orExit {
            try QualityReport(folder, try RunEvidence(folder))
        }
        guard let report else {
            // Scores need no reference, so any run with images has them.
            if scorer != nil { return }
            Perform.printError(
                "\(first) is not a sweep of steps or precisions; run imgbench sweep steps, or name"
                    + " two folders of images.")
            throw ExitStatus.couldNotRun
        }
        print(json ? try Reading.json(report) : report.markdown, terminator: "")
    }

    /// Scores the images of a run and stores the means; for a sweep, they are a part of its table.
    private func score(_ scorer: ExternalScorer) throws {
        let folder = ResultFolder(path: first)
        let scores = try Reading.orExit {
            let scores = try ScoreReport(folder, try RunEvidence(folder), scorer: scorer)
            try scores.write(to: folder)
            return scores
        }
        if !json { print(scores.markdown) }
    }
}
