// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Requests one image of each shape before the first level.
///
/// A server that refuses them would refuse every request of the load as well.
struct ShapeProbe: Sendable {
    let plan: RunPlan
    let run: String
    let interrupt: Interrupt
    /// The files that requests send.
    let sources: SourceImages

    /// Tries of a request that the server refuses because it is busy.
    private static let tries = 5
    /// Distance of the probes' positions in the plan from the last ones, which prime the levels.
    private static let offset = 4096

    private var target: Scenario.Target { plan.scenario.target }

    /// Sends the requests, one at a time.
    ///
    /// - Throws: `RunError` with the reason and what to do when one does not return its image.
    func check(_ http: LoadClient) async throws {
        var seen: Set<String> = []
        for visit in plan.visits {
            let url = visit.url ?? target.url
            for parameters in plan.primes(visit, before: Self.offset) where !interrupt.isSet {
                let shape =
                    "\(url) \(parameters.size) \(parameters.steps) \(parameters.lora ?? "none") "
                    + "\(parameters.task) \(parameters.control?.model ?? "none")"
                guard seen.insert(shape).inserted else { continue }
                try await probe(parameters, seen.count, url, http)
            }
        }
    }

    private func probe(
        _ parameters: RequestParameters, _ number: Int, _ url: String, _ http: LoadClient
    ) async throws {
        var client = http
        if url != target.url {
            client = LoadClient(
                base: url, clock: http.clock, connections: 2,
                timeout: plan.scenario.request.timeout, key: target.key)
        }
        let failure = await failure(of: parameters, number, client, url)
        if client !== http { await client.shutDown() }
        if let failure, !interrupt.isSet { throw RunError(failure) }
    }

    private func failure(
        of parameters: RequestParameters, _ number: Int, _ client: LoadClient, _ url: String
    ) async -> String? {
        var target = target
        target.url = url
        let server = ServerSide(http: client, target: target)
        guard await server.waitUntilReady(seconds: 600, interrupt: interrupt) else {
            return LevelRun.notReady(url)
        }
        let driver = target.dialect.driver(
            client, model: target.model, workflow: target.workflowNodes)
        var words: String?
        for attempt in 1...Self.tries where !interrupt.isSet {
            let inputs = sources.inputs(
                parameters, isTransparent: target.dialect.hasTransparentMasks)
            let outcome = await driver.generate(
                DriverRequest(
                    parameters, inputs: inputs, id: "\(run)-probe-\(number)-\(attempt)",
                    isAlone: true))
            words =
                ProbeFailure(
                    outcome: outcome, parameters: parameters, target: target,
                    timeout: plan.scenario.request.timeout
                ).sentence
            guard outcome.error == .rejected, attempt < Self.tries else { break }
            try? await Task.sleep(for: .seconds(1))
        }
        return words
    }
}

/// Explains why a request did not return its image.
struct ProbeFailure {
    let outcome: DriverOutcome
    let parameters: RequestParameters
    let target: Scenario.Target
    let timeout: Double

    /// What failed and what to do, in one sentence; `nil` when the image was returned.
    var sentence: String? {
        guard let error = outcome.error else { return wrongImage }
        let said = detail.isEmpty ? "" : " (\(detail))"
        switch error {
        case .connect, .timeoutConnect, .tls:
            return
                "\(target.url) cannot be reached\(said); start the server, or set another URL with"
                + " --target."
        case .timeoutTotal:
            return "\(subject) did not arrive within \(Figures.significant(timeout, 3)) s; increase"
                + " request.timeout, or request smaller images."
        case .rejected:
            return
                "\(subject) was refused five times because the server is busy\(said); wait until its"
                + " queue is empty."
        case .http4xx: return refusal
        case .http5xx:
            return "\(subject) failed on the server\(said); see the server's log."
        case .eventError:
            return
                "\(subject) ended with an error of the server\(said); correct the scenario's request,"
                + " or see the server's log."
        case .abortedByTester: return nil
        default:
            return
                "The response to \(place) is not one of the dialect \(target.dialect.rawValue)\(said);"
                + " \(otherDialects)."
        }
    }

    /// The request that failed, as the subject of a sentence.
    private var subject: String {
        "The probe image (\(parameters.size), \(parameters.steps) steps"
            + (parameters.lora.map { ", LoRA \($0)" } ?? "") + ") of \(target.url)"
    }

    private var place: String { "POST \(target.url)\(target.dialect.path)" }

    private var otherDialects: String {
        let others = Dialect.allCases.filter { $0 != target.dialect }.map(\.rawValue)
        return "set target.dialect to one that the server speaks: " + others.joined(separator: ", ")
    }

    /// The server's words on one line.
    private var detail: String {
        let words = (outcome.errorDetail ?? "").split(whereSeparator: \.isWhitespace)
            .joined(separator: " ")
        return words.count > 200 ? words.prefix(200) + "…" : words
    }

    private var status: Int? { (outcome.errorDetail?.prefix(3)).flatMap { Int($0) } }

    private var refusal: String {
        let said = detail.isEmpty ? "" : " (\(detail))"
        if status == 401 || status == 403 {
            return "\(target.url) requires a valid key\(said); set target.key, for instance to"
                + " ${IMAGE_KEY}, which is read from the environment."
        }
        if detail.lowercased().contains("model") {
            return
                "\(target.url) does not serve the model \(target.model ?? "that it was asked for")"
                + "\(said); set target.model to one of its models, which GET /v1/models often lists."
        }
        if [404, 405, 501].contains(status) {
            return "\(place) does not exist\(said); \(otherDialects)."
        }
        return "\(subject) was refused\(said); correct the scenario's request."
    }

    /// The reason why a response without an error is not the image that was requested.
    private var wrongImage: String? {
        guard outcome.times.image == nil else { return nil }
        guard let header = outcome.image?.header else {
            return "The response to \(place) contains no image in a known format; \(otherDialects)."
        }
        return
            "\(subject) has \(header.width)x\(header.height) pixels; request a size that the server"
            + " supports."
    }
}

extension Dialect {
    /// Path of the request for an image.
    var path: String {
        switch self {
        case .openAI, .openAIStream, .xinference, .sglang, .vllmOmni, .localAI:
            "/v1/images/generations"
        case .a1111, .sdcpp: "/sdapi/v1/txt2img"
        case .jobs: "/api/jobs"
        case .comfyUI: "/prompt"
        }
    }
}
