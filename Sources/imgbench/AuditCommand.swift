// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// `imgbench audit`: the twenty checks of a run.
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Check whether the figures of a run are plausible.",
        discussion: "Exits with status 4 when a check fails; such a result must not be published.")

    @Argument(help: ArgumentHelp("Result folder of a run.", valueName: "run"))
    var folder: String

    @Flag(help: "Print only checks that did not pass.")
    var quiet = false

    @Flag(help: "Print JSON instead of text.")
    var json = false

    func run() throws {
        let reporter = try Reading.reporter(folder)
        try Reading.orExit { try reporter.write([.json]) }
        if json {
            print(try Reading.json(reporter.audit), terminator: "")
        } else {
            print(reporter.audit.text(isVerbose: !quiet), terminator: "")
        }
        guard reporter.audit.hasPassed else { throw ExitStatus.auditFailed }
    }
}
