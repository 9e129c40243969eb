// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import LoadTesting

/// `imgbench knee`: the saturation point of a server.
struct KneeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "knee", abstract: "Find the saturation point of a server by six methods.")

    @Argument(
        help: ArgumentHelp(
            "Result folder of a sweep of concurrency with at least three levels.", valueName: "run")
    )
    var folder: String

    @Flag(help: "Print JSON instead of text.")
    var json = false

    func run() throws {
        let reporter = try Reading.reporter(folder)
        guard let knee = reporter.summary.knee else {
            Perform.printError(
                "\(folder) must have at least 3 closed levels with images, found"
                    + " \(reporter.evidence.closed.count); run imgbench sweep concurrency first.")
            throw ExitStatus.couldNotRun
        }
        print(json ? try Reading.json(knee) : knee.text, terminator: "")
    }
}
