// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// `imgbench compare`: a new run against a base.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare two runs: what became faster or slower.",
        discussion: """
            Runs of the same plan are compared request by request. The verdicts faster and slower \
            require that the 95 % interval of the ratio excludes 1 and that the change exceeds the \
            practical limit.
            """)

    @Argument(help: "Result folder of the base.")
    var base: String

    @Argument(help: "Result folder of the new run.")
    var new: String

    @Option(help: ArgumentHelp("Smallest relevant change.", valueName: "percent"))
    var practical = "2%"

    @Option(
        help: ArgumentHelp(
            "Also write an HTML page with both runs side by side.", valueName: "file.html"))
    var html: String?

    @Flag(help: "Print JSON instead of a table.")
    var json = false

    private func share() throws -> Double {
        let digits = practical.hasSuffix("%") ? practical.dropLast() : practical[...]
        guard let percent = Double(digits), percent >= 0, percent < 100 else {
            throw ValidationError("--practical must be a percentage such as 2%, got \(practical).")
        }
        return percent / 100
    }

    func validate() throws { _ = try share() }

    func run() throws {
        let runs = try [base, new].map { path in
            try Reading.orExit {
                var evidence = try RunEvidence(ResultFolder(path: path))
                evidence.compute()
                return evidence
            }
        }
        let page = ComparisonPage(base: runs[0], new: runs[1], practical: try share())
        print(
            json ? try Reading.json(page.comparison) : page.comparison.markdown, terminator: "")
        if let html {
            try Reading.orExit {
                try ResultFolder.write(Data(page.html.utf8), to: URL(filePath: html))
            }
        }
    }
}
