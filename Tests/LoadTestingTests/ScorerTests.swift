// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// The external scorer, and the sheet of images beside the table of a sweep.
@Suite(.serialized) struct ScorerTests {
    private static let items = (0..<3).map { index in
        ExternalScorer.Item(prompt: "p\(index)", image: "/i\(index).png", reference: "/r.png")
    }

    @Test("the command gets a line for each image, and prints a number or an object")
    func forms() throws {
        let length = ExternalScorer(
            command: "while read -r line; do echo \"${#line}\"; done")
        let scores = try length.scores(Self.items)
        #expect(scores.count == 3)
        #expect(scores[0]["score"].map { $0 > 40 } == true)
        let named = ExternalScorer(
            command: #"while read -r line; do echo '{"clip": 0.25, "aesthetic": 5}'; done"#)
        #expect(try named.scores(Self.items)[2] == ["clip": 0.25, "aesthetic": 5])
    }

    @Test(
        "a command that fails or prints anything else is an error",
        arguments: [
            ("echo broken >&2; exit 3", "ended with status 3: broken"),
            ("echo 1", "must print one line for each of the 3 images, got 1"),
            ("cat", "must be a number"), ("true", "got 0"),
            ("for i in 1 2 3; do echo '{\"clip\": \"high\"}'; done", "must be a number"),
        ])
    func errors(_ command: String, _ words: String) {
        let error = #expect(throws: ResultError.self) {
            try ExternalScorer(command: command).scores(Self.items)
        }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("the scores of a sweep of steps are in its table, beside the images")
    func sweep() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.005
        let server = try await MockServer(settings)
        var mix = RequestMix(
            prompt: "{n}", sizes: [Weighted(.init(width: 64, height: 64))])
        mix.keywords = ["n": ["one", "two", "three"]]
        mix.timeout = 5
        var scenario = Scenario(
            name: "sheet", target: .init(url: server.url), request: mix, levels: [])
        scenario.cooldown = 0
        let root = FileManager.default.temporaryDirectory.appending(path: "imgbench-\(UUID())")
        defer { try? FileManager.default.removeItem(at: root) }
        let run = LoadRun(
            plan: SweepPlan.steps(
                scenario, steps: [2, 4], prompts: 3, reference: nil, referenceSteps: 8),
            resultsIn: root.path, sweep: .steps)
        _ = try await run.run()
        await server.stop()
        let evidence = try RunEvidence.computed(run.folder)
        // The number of the steps' level is in the name of the file.
        let scorer = ExternalScorer(
            command:
                "while read -r line; do case \"$line\" in *steps-02*) echo 2;; *) echo 4;; esac; done"
        )
        let scores = try ScoreReport(run.folder, evidence, scorer: scorer)
        #expect(scores.levels.map(\.n) == [3, 3, 3])
        try scores.write(to: run.folder)
        let report = try #require(try QualityReport(run.folder, evidence))
        #expect(report.levels.map { $0.scores?["score"]?.value } == [4, 2, 4])
        #expect(report.markdown.contains("score (95 %)"))
        let html = try RunReporter(run.folder).html()
        #expect(html.contains("score (95 %)"))
        // Three prompts in three levels.
        #expect(html.components(separatedBy: "<td><img loading=").count == 10)
    }
}
