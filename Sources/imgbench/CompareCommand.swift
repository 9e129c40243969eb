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
            practical limit. With --gate, a run that is shown to be worse exits with status 3, with a bound on \
            the chance that two runs of the same server do; one whose audit failed exits with status 4.
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

    @Flag(help: "Exit with status 3 if the new run is shown to be worse.")
    var gate = false

    @Option(
        help: ArgumentHelp(
            "Greatest chance that the gate fails for two runs of the same server. Default: 1%.",
            valueName: "percent"))
    var falseAlarm: String?

    @Option(
        help: ArgumentHelp("Also write the tests of the gate for JUnit.", valueName: "file.xml"))
    var junit: String?

    @Flag(help: "Print JSON instead of a table.")
    var json = false

    private func share(_ option: String, _ text: String) throws -> Double {
        let digits = text.hasSuffix("%") ? text.dropLast() : text[...]
        guard let percent = Double(digits), percent >= 0, percent < 100 else {
            throw ValidationError("\(option) must be a percentage such as 2%, got \(text).")
        }
        return percent / 100
    }

    private func share() throws -> Double { try share("--practical", practical) }

    private func chance() throws -> Double { try share("--false-alarm", falseAlarm ?? "1%") }

    func validate() throws {
        _ = try share()
        guard try chance() > 0 else {
            throw ValidationError("--false-alarm must be above 0, got \(falseAlarm ?? "0%").")
        }
        guard gate || falseAlarm == nil && junit == nil else {
            throw ValidationError("--false-alarm and --junit need --gate.")
        }
    }

    func run() throws {
        let runs = try [base, new].map { path in
            try Reading.orExit {
                var evidence = try RunEvidence(ResultFolder(path: path))
                evidence.compute()
                return evidence
            }
        }
        if gate {
            try decide(runs[0], runs[1])
            return
        }
        let page = ComparisonPage(base: runs[0], new: runs[1], practical: try share())
        try writePage(page)
        print(
            json ? try Reading.json(page.comparison) : page.comparison.markdown, terminator: "")
    }

    private func writePage(_ page: ComparisonPage) throws {
        guard let html else { return }
        try Reading.orExit {
            try ResultFolder.write(Data(page.html.utf8), to: URL(filePath: html))
        }
    }

    /// Prints the tests of the gate and throws the exit status.
    private func decide(_ base: RunEvidence, _ new: RunEvidence) throws {
        let gate = RegressionGate(
            base: base, new: new, chance: try chance(), practical: try share())
        try writePage(ComparisonPage(base: base, new: new, practical: try share()))
        if let junit {
            try Reading.orExit {
                try ResultFolder.write(Data(gate.junit.xml.utf8), to: URL(filePath: junit))
            }
        }
        print(json ? try Reading.json(gate) : gate.markdown, terminator: "")
        for run in [base, new] {
            let audit = RunAudit(run).report()
            guard let words = audit.worstInWords else { continue }
            Perform.printError("\(run.manifest.run) is not a result: its audit failed. \(words)")
            throw ExitStatus.auditFailed
        }
        guard gate.tests > 0 || !gate.missing.isEmpty else {
            Perform.printError(
                "The gate has nothing to compare: it needs levels of both runs with 50 images; increase"
                    + " hold.")
            throw ExitStatus.couldNotRun
        }
        guard gate.hasPassed else { throw ExitStatus.objectiveMissed }
    }
}
