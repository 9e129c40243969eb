// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// The documented forms of other servers: what the drivers send, and what the mock server refuses.
@Suite(.serialized) struct DriverFormTests {
    static func file(_ text: String) throws -> URL {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).json")
        try Data(text.utf8).write(to: file)
        return file
    }

    /// A request with everything that a dialect has fields for.
    private static func request(_ dialect: Dialect) -> RequestParameters {
        var request = RequestParameters(
            prompt: "a fox", negativePrompt: "blur", width: 64, height: 64, steps: 6,
            seed: 7)
        if dialect.features.contains(.guidance) { request.guidance = 3 }
        if dialect.features.contains(.lora) { (request.lora, request.loraScale) = ("ink", 0.5) }
        return request
    }

    private static func outcome(
        _ request: RequestParameters, _ dialect: Dialect, server: Dialect?,
        faults: Set<MockFault> = [], workflow: ComfyUIWorkflow? = nil
    ) async throws -> DriverOutcome {
        var settings = MockSettings()
        settings.serviceTime = 0.01
        settings.dialect = server
        settings.faults = faults
        let mock = try await MockServer(settings)
        let client = LoadClient(
            base: mock.url, clock: RunClock(), connections: 4, timeout: 2, key: nil)
        let driver = dialect.driver(client, model: "mock", workflow: workflow)
        let inputs = SourceImages().inputs(request, isTransparent: false)
        let outcome = await driver.generate(
            DriverRequest(request, inputs: inputs, id: "request-1", isAlone: true))
        await client.shutDown()
        await mock.stop()
        return outcome
    }

    @Test(arguments: [Dialect.sdcpp, .sglang, .vllmOmni, .localAI, .comfyUI])
    func everyParameterArrives(_ dialect: Dialect) async throws {
        // Each parameter changes the image, so none is lost on the way.
        let base = Self.request(dialect)
        var variants = [base]
        for change in [
            { $0.prompt = "a cup" }, { $0.seed = 8 }, { $0.steps = 7 }, { $0.width = 80 },
        ] as [(inout RequestParameters) -> Void] {
            var variant = base
            change(&variant)
            variants.append(variant)
        }
        if dialect.features.contains(.guidance) {
            variants.append(base)
            variants[variants.count - 1].guidance = 4
        }
        if dialect.features.contains(.lora) {
            variants.append(base)
            variants[variants.count - 1].lora = "wash"
        }
        if dialect.features.contains(.edit) {
            variants.append(base)
            let strength = dialect.features.contains(.strength) ? 0.5 : 1
            variants[variants.count - 1].source = SourceParameters(
                width: 96, height: 64, seed: 1, strength: strength)
            if dialect.features.contains(.mask) {
                variants.append(variants[variants.count - 1])
                variants[variants.count - 1].source?.mask = 0.25
            }
        }
        var images: Set<[UInt8]> = []
        for variant in variants {
            let outcome = try await Self.outcome(variant, dialect, server: dialect)
            #expect(outcome.error == nil, "\(outcome.errorDetail ?? "")")
            #expect(outcome.times.image != nil)
            images.insert(try #require(outcome.image?.decoded))
        }
        #expect(images.count == variants.count)
    }

    @Test("a field that a server does not document is refused by its mock")
    func strict() async throws {
        // The form of one server, sent to another.
        let outcome = try await Self.outcome(
            Self.request(.openAI), .openAI, server: .vllmOmni)
        #expect(outcome.error == .http4xx)
        #expect(outcome.errorDetail?.contains("unknown field") == true)
        let other = try await Self.outcome(Self.request(.sglang), .sglang, server: .comfyUI)
        #expect(other.errorDetail?.hasPrefix("404") == true)
    }

    @Test(arguments: [Dialect.sdcpp, .sglang, .vllmOmni, .localAI, .comfyUI])
    func faultsAreFailuresOfTheRequest(_ dialect: Dialect) async throws {
        for (fault, expected) in [
            (MockFault.needsKey, ErrorClass.http4xx), (.textOnly, .decode), (.breaks, nil),
        ] as [(MockFault, ErrorClass?)] where dialect != .comfyUI {
            let outcome = try await Self.outcome(
                Self.request(dialect), dialect, server: dialect, faults: [fault])
            #expect(outcome.error == expected, "\(fault) \(outcome.errorDetail ?? "")")
        }
    }

    @Test("a workflow of ComfyUI is filled in, with numbers as numbers")
    func workflow() async throws {
        let file = try Self.file(
            """
            {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "m"}},
             "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "photo of {prompt}", "clip": ["1", 1]}},
             "3": {"class_type": "EmptyLatentImage",
                   "inputs": {"width": "{width}", "height": "{height}", "batch_size": 1}},
             "4": {"class_type": "KSampler", "inputs": {"seed": "{seed}", "steps": "{steps}", "cfg": "{cfg}",
                   "denoise": 1, "positive": ["2", 0], "negative": ["2", 0], "latent_image": ["3", 0]}},
             "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0]}}}
            """)
        defer { try? FileManager.default.removeItem(at: file) }
        let workflow = try ComfyUIWorkflow(contentsOf: file)
        let request = RequestParameters(prompt: "a fox", width: 80, height: 64, steps: 6, seed: 7)
        let outcome = try await Self.outcome(
            request, .comfyUI, server: .comfyUI, workflow: workflow)
        #expect(outcome.error == nil, "\(outcome.errorDetail ?? "")")
        #expect(outcome.image?.header?.width == 80)
    }

    @Test("a file without a workflow, or without a place for prompt and seed, is an error")
    func workflowErrors() throws {
        for (text, words) in [
            ("[]", "is not a workflow"), ("{\"nodes\": [], \"links\": []}", "is not a workflow"),
            (
                "{\"1\": {\"class_type\": \"KSampler\", \"inputs\": {\"seed\": \"{seed}\"}}}",
                "has no {prompt}"
            ),
        ] {
            let file = try Self.file(text)
            defer { try? FileManager.default.removeItem(at: file) }
            let error = #expect(throws: ScenarioError.self) {
                try ComfyUIWorkflow(contentsOf: file)
            }
            #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        }
    }

    @Test("ComfyUI needs a checkpoint or a workflow, and a workflow the dialect")
    func comfyUIScenarios() throws {
        let text = """
            version: 1
            name: comfy
            target: { url: "http://127.0.0.1:1", dialect: comfyui }
            request: { prompt: x, size: 64x64 }
            levels: [single]
            """
        let error = #expect(throws: ScenarioError.self) {
            try RunPlan(try Scenario(yaml: text, environment: [:]))
        }
        #expect(error?.description.contains("needs target.model") == true)
        let other = text.replacing("dialect: comfyui", with: "dialect: openai, workflow: w.json")
        #expect(throws: ScenarioError.self) { try Scenario(yaml: other, environment: [:]) }
    }
}
