// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Foundation
import LoadTesting

/// Runs a plan, shows its progress, and writes the report.
enum Perform {
    static func run(
        _ plan: RunPlan, scenarioText: String? = nil, out: String, sweep: Manifest.Sweep? = nil
    ) async throws {
        let interrupt = Interrupt()
        interrupt.watchSignals()
        let view = LiveView.standard()
        let run = LoadRun(
            plan: plan, resultsIn: out, scenarioText: scenarioText, sweep: sweep,
            arguments: CommandLine.arguments, interrupt: interrupt, observer: view)
        let drawing = Task { await view.run() }
        defer { drawing.cancel() }
        do {
            let manifest = try await run.run()
            drawing.cancel()
            try finish(run.folder, manifest)
        } catch let error as RunError {
            printError(error.description)
            throw ExitStatus.couldNotRun
        } catch let error as ResultError {
            printError(error.description)
            throw ExitStatus.couldNotRun
        }
    }

    /// Writes statistics, audit and report, and throws the exit status that follows from them.
    static func finish(_ folder: ResultFolder, _ manifest: Manifest) throws {
        let reporter = try Reading.reporter(folder.url.path)
        try Reading.orExit { try reporter.write() }
        print("\n" + reporter.markdown)
        print("audit: \(reporter.audit.verdict.rawValue)")
        for check in reporter.audit.checks where check.verdict > .pass {
            print("  \(check.id.rawValue) \(check.verdict.rawValue) \(check.title)")
            for finding in check.findings where finding.verdict > .pass {
                print("    \(finding.level.map { $0 + ": " } ?? "")\(finding.text)")
            }
        }
        print(folder.reportFile.path)
        if let part = manifest.part {
            print(
                "part \(part.number) of \(part.count); imgbench merge makes one result of all parts"
            )
        }
        if manifest.status == .partial { throw ExitStatus.interrupted }
        if !reporter.audit.hasPassed { throw ExitStatus.auditFailed }
        if reporter.summary.objectives.contains(where: { !$0.isMet }) {
            throw ExitStatus.objectiveMissed
        }
    }

    /// Prints an error message.
    static func printError(_ sentence: String) {
        FileHandle.standardError.write(Data("imgbench: \(sentence)\n".utf8))
    }

    /// Reads a scenario file.
    static func scenario(_ file: String) throws -> (Scenario, String) {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
            printError(
                "\(file) cannot be read; expected a scenario file such as"
                    + " Benchmarks/scenarios/openai.yaml.")
            throw ExitStatus.couldNotRun
        }
        do {
            return (try Scenario(contentsOf: URL(filePath: file)), text)
        } catch {
            printError("\(file): \(error)")
            throw ExitStatus.couldNotRun
        }
    }

    /// Plans a scenario, reading trace files relative to the scenario file.
    static func plan(_ scenario: Scenario, beside file: String? = nil) throws -> RunPlan {
        do {
            return try RunPlan(scenario) { name in
                let folder = file.map { URL(filePath: $0).deletingLastPathComponent() }
                let url = URL(filePath: name, relativeTo: folder)
                return try PlanFile.read(url)
            }
        } catch {
            printError(String(describing: error))
            throw ExitStatus.couldNotRun
        }
    }
}
