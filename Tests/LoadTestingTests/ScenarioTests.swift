// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

struct ScenarioTests {
    private func text(_ levels: String = "- closed: { users: [1, 2] }", _ more: String = "")
        -> String
    {
        """
        version: 1
        name: test-1
        target: { url: "http://127.0.0.1:8080", access_log: ./access.log, metrics: /metrics }
        request:
          prompt: "{style} photo of {subject}"
          keywords:
            style: [studio, film]
            subject: [a red fox, a teapot]
          sizes: [ { size: 512x512, weight: 7 }, { size: 768x512, weight: 3 } ]
          steps: 8
          loras: [ { name: none, weight: 1 }, { name: watercolor, scale: 0.8, weight: 2 } ]
          partial_images: 3
          timeout: 60s
        levels:
          \(levels)
        \(more)
        """
    }

    @Test func everythingIsRead() throws {
        let scenario = try Scenario(
            yaml: text(
                "- closed: { users: [1, 2] }\n  - open: { arrivals: poisson, rate: [60%, 80%], of: knee }",
                """
                hold: 500ms
                settle: { min: 5s, max: 1m }
                slo: { ttfp_p95: 1500ms, e2e_p95: 5s, errors: 0.5% }
                audit: { log_deviation: 0.8%, metrics_deviation: 1%, duplicates: warn }
                repeat: 3
                seed: 20260101
                link: 1Gbit/s
                """))
        #expect(scenario.name == "test-1")
        #expect(scenario.request.sizes.map(\.weight) == [7, 3])
        #expect(scenario.request.sizes[1].value == RequestMix.Size(width: 768, height: 512))
        #expect(scenario.request.loras[0].value == nil)
        #expect(scenario.request.loras[1].value == RequestMix.LoRA(name: "watercolor", scale: 0.8))
        #expect(scenario.hold == 0.5)
        #expect(scenario.settle.maximum == 60)
        #expect(scenario.objectives.firstPreviewP95 == 1.5)
        #expect(scenario.objectives.errors == 0.005)
        #expect(scenario.limits.metricsDeviation == 0.01)
        #expect(!scenario.limits.duplicatesFail)
        #expect(scenario.repeats == 3)
        #expect(scenario.link == 1.25e8)
        #expect(
            scenario.levels == [
                .closed(users: [1, 2]),
                .open(
                    arrivals: .poisson, rates: [.ofKnee(0.6), .ofKnee(0.8)], shape: nil,
                    maximumInFlight: 256),
            ])
    }

    @Test(arguments: [
        ("seed: 1\nspeed: 2", "line 17, column 1: the scenario has no key 'speed'"),
        ("hold: 120", "line 16, column 7: hold must be a duration with its unit"),
        ("slo: { e2e_p95: 5s, p99: 6s }", "line 16, column 21: slo has no key 'p99'"),
        ("slo: { errors: 0.5 }", "errors must be a share"),
        (
            "seed: 18446744073709551616",
            "seed must be a whole number from 0 to 18446744073709551615"
        ),
        ("repeat: none", "repeat must be a whole number from 1 to 100, found 'none'"),
    ])
    func errorsNameLineAndColumn(_ more: String, _ message: String) {
        let error = #expect(throws: ScenarioError.self) { try Scenario(yaml: text(more: more)) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        ("version: 2", "line 1, column 10: version must be 1, found '2'."),
        ("just text", "line 1, column 1: the scenario must be a mapping of keys to values."),
        ("{{{", "the file is not valid YAML"),
        ("a: b: c", "the file is not valid YAML"),
    ])
    func otherFilesAreRefusedInOneSentence(_ text: String, _ message: String) {
        let error = #expect(throws: ScenarioError.self) { try Scenario(yaml: text) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("\n") == false)
    }

    @Test func aTraceThatCannotBeReadIsReported() {
        let error = #expect(throws: ResultError.self) {
            try PlanFile.read(URL(filePath: "/nowhere/trace.jsonl"))
        }
        #expect(error?.description.contains("expected a trace") == true)
    }

    private func text(more: String) -> String { text("- closed: { users: [1, 2] }", more) }

    @Test func aSlotWithoutWordsIsReported() {
        let broken = text().replacingOccurrences(of: "{style}", with: "{stile}")
        let error = #expect(throws: ScenarioError.self) { try Scenario(yaml: broken) }
        #expect(error?.description.contains("request.keywords has no 'stile'") == true)
    }

    @Test func variablesAreReplaced() throws {
        let text = text().replacingOccurrences(
            of: "http://127.0.0.1:8080", with: "${IMG_TARGET:-http://localhost:1}")
        #expect(try Scenario(yaml: text, environment: [:]).target.url == "http://localhost:1")
        #expect(
            try Scenario(yaml: text, environment: ["IMG_TARGET": "https://host"]).target.url
                == "https://host")
        let error = #expect(throws: ScenarioError.self) {
            try Scenario(
                yaml: text.replacingOccurrences(of: ":-http://localhost:1", with: ""),
                environment: [:])
        }
        #expect(error?.description.hasPrefix("line 3: the variable IMG_TARGET is not set") == true)
    }

    @Test func aSweepsScenarioReadsBack() throws {
        var mix = RequestMix(
            prompt: "a \"{thing}\"", sizes: [Weighted(.init(width: 128, height: 256))])
        mix.keywords = ["thing": ["cup", "a \\ b"]]
        mix.guidance = 5
        var scenario = Scenario(
            name: "x", target: .init(url: "http://127.0.0.1:1"), request: mix,
            levels: [.closed(users: [1, 4])])
        scenario.hold = 1.5
        scenario.seed = .max - 8
        scenario.device.name = "measured"
        scenario.device.operations = 236.5e9
        scenario.device.bandwidth = 10.5e9
        #expect(try Scenario(yaml: scenario.yaml) == scenario)
    }

    @Test func everyPartOfAScenarioReadsBack() throws {
        var mix = RequestMix(prompt: "line\n\ttwo", sizes: [Weighted(.init(width: 64, height: 64))])
        mix.negativePrompt = "blurred"
        mix.loras = [Weighted(nil, weight: 2), Weighted(.init(name: "ink: wash", scale: 0.5))]
        mix.partialImages = 2
        mix.format = "webp"
        var target = Scenario.Target(url: "https://example.org:1")
        target.dialect = .jobs
        target.model = "m"
        target.accessLog = "/tmp/access.log"
        target.ready = "/healthz"
        target.process = .port(9)
        var scenario = Scenario(
            name: "all", target: target, request: mix,
            levels: [
                .single, .closed(users: [2]), .offline(batches: [8, 16]), .trace(file: "a b.jsonl"),
                .open(
                    arrivals: .gamma, rates: [.absolute(2.5), .absolute(4)], shape: 2,
                    maximumInFlight: 32),
                .open(
                    arrivals: .poisson, rates: [.ofKnee(0.5)], shape: nil, maximumInFlight: 256),
            ])
        scenario.settle.minimum = 1
        scenario.order = .updown
        scenario.repeats = 2
        scenario.probes = false
        scenario.link = 125e6
        scenario.objectives.endToEndP95 = 5
        scenario.objectives.errors = 0.5
        scenario.limits.logDeviation = 0.25
        scenario.limits.duplicatesFail = false
        scenario.limits.determinismTolerance = 3
        #expect(try Scenario(yaml: scenario.yaml) == scenario)
        for process in [Scenario.ProcessChoice.automatic, .none, .id(17)] {
            scenario.target.process = process
            #expect(try Scenario(yaml: scenario.yaml).target.process == process)
        }
    }

    @Test func aScenarioFileThatCannotBeReadIsReported() {
        let error = #expect(throws: ScenarioError.self) {
            try Scenario(contentsOf: URL(filePath: "/nowhere/x.yaml"))
        }
        #expect(error?.description == "/nowhere/x.yaml cannot be read; expected a scenario file.")
    }

    @Test func shippedScenariosAreRead() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Benchmarks/scenarios").standardized
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil
        ).filter { $0.pathExtension == "yaml" }
        #expect(files.count >= 6)
        var dialects: Set<Dialect> = []
        for file in files {
            let scenario = try Scenario(contentsOf: file, environment: [:])
            #expect(scenario.name == file.deletingPathExtension().lastPathComponent)
            dialects.insert(scenario.target.dialect)
        }
        #expect(dialects == Set(Dialect.allCases))
    }
}
