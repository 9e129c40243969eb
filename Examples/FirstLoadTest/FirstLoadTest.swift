// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting

/// Runs a scenario against the mock server and prints the table of its levels.
///
/// Run it from the root of a checkout; the first argument is another scenario file.
@main
struct FirstLoadTest {
    static func main() async throws {
        // Two devices with a service time of 200 ms: at most 10 images a second.
        var settings = MockSettings()
        settings.serviceTime = 0.2
        settings.devices = 2
        let server = try await MockServer(settings)

        let file = CommandLine.arguments.dropFirst().first ?? "Examples/FirstLoadTest/scenario.yaml"
        let scenario = try Scenario(
            contentsOf: URL(filePath: file), environment: ["TARGET": server.url])
        let run = LoadRun(plan: try RunPlan(scenario), resultsIn: "runs")
        _ = try await run.run()
        await server.stop()

        let reporter = try RunReporter(run.folder)
        try reporter.write()
        print(reporter.markdown)
        print("audit: \(reporter.audit.verdict.rawValue), report: \(run.folder.reportFile.path)")
    }
}
