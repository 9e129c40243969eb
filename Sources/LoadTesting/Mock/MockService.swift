// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Imaging
import NIOCore
import NIOHTTP1

/// Computes the responses of the mock server; confined to one event loop.
final class MockService {
    let loop: any EventLoop
    let settings: MockSettings
    let devices: MockDevices
    private let log: MockLog?
    var connections = 0
    var mostConnections = 0
    var metrics = MockMetrics()
    var jobs: [String: MockJob] = [:]
    /// The files that were uploaded for ComfyUI, by name.
    var uploads: [String: [UInt8]] = [:]
    /// The latest preview, which `/sdapi/v1/progress` returns to every client.
    var current: [UInt8]?
    /// Number of requested images, to select every tenth.
    private var number = 0
    /// Number of requests for images.
    var requests = 0
    private var known: [String: String] = [:]
    private let start = NIODeadline.now()

    init(loop: any EventLoop, settings: MockSettings, log: MockLog?) {
        self.loop = loop
        self.settings = settings
        self.log = log
        devices = MockDevices(loop: loop, settings: settings)
    }

    func has(_ fault: MockFault) -> Bool { settings.faults.contains(fault) }

    // MARK: Routes

    /// Routes a request.
    func respond(to request: MockRequest, _ response: MockResponse) {
        if !["/metrics", "/readyz", "/version"].contains(request.path) { metrics.inFlight += 1 }
        if let dialect = settings.dialect, !dialect.serves(request.path) {
            response.send(404, "application/json", Array(#"{"detail":"Not Found"}"#.utf8))
            return
        }
        switch (request.head.method, request.path) {
        case (.GET, "/readyz"):
            response.send(200, "application/json", Array(#"{"status":"ok"}"#.utf8))
        case (.GET, "/version"): response.send(200, "text/plain", Array("imgbench mock".utf8))
        case (.GET, "/metrics"):
            response.send(200, "text/plain; version=0.0.4", Array(metrics.text(self).utf8))
        case (.POST, "/v1/images/generations"), (.POST, "/v1/images/edits"),
            (.POST, "/v1/images/variations"), (.POST, "/v1/images/inpainting"):
            openAI(request, response)
        case (.POST, "/sdapi/v1/txt2img"), (.POST, "/sdapi/v1/img2img"): a1111(request, response)
        case (.GET, "/sdapi/v1/progress"):
            response.send(200, "application/json", Array(progress().utf8))
        case (.POST, "/api/jobs"): submitJob(request, response)
        case (.GET, let path) where path.hasPrefix("/api/jobs/"): job(path, response)
        case (_, "/prompt"), (_, "/upload/image"), (_, "/view"): comfyUI(request, response)
        case (.GET, let path) where path.hasPrefix("/history/"): comfyUI(request, response)
        default: response.send(404, "application/json", Array(#"{"error":{"message":"no"}}"#.utf8))
        }
    }

    /// Counts a complete response and logs it.
    func record(_ response: MockResponse) {
        let request = response.request
        let isMonitoring = ["/metrics", "/readyz", "/version"].contains(request.path)
        if !isMonitoring { metrics.inFlight -= 1 }
        var seconds = Double((NIODeadline.now() - request.begin).nanoseconds) / 1e9
        metrics.count(response, seconds, self)
        guard let log else { return }
        metrics.lines += 1
        if has(.lostLine), metrics.lines % 10 == 0 { return }
        if has(.earlyClock) { seconds *= 0.9 }
        var now = Date().timeIntervalSince1970
        if has(.clockStep), metrics.lines > 20 { now += 0.05 }
        let bytes = has(.wrongBytes) && response.bytes > 100 ? response.bytes - 7 : response.bytes
        let facts = response.facts
        log.write(
            "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"\(request.head.method) \(request.path)"
                + " HTTP/1.1\" \(response.status) \(bytes) \"-\" \"imgbench\""
                + " rt=\(Self.digits(seconds)) urt=\(Self.digits(facts.queue + facts.run))"
                + " id=\(request.id) msec=\(Self.digits(now)) code=\(facts.code)"
                + " q=\(Self.digits(facts.queue)) run=\(Self.digits(facts.run))"
                + (facts.wantsImage
                    ? " n=1 steps=\(facts.steps) size=\(facts.size) model=mock"
                    : " n=- steps=- size=- model=-") + " trace=-")
    }

    /// Three decimals.
    static func digits(_ value: Double) -> String { String(format: "%.3f", value) }

    // MARK: Images

    /// The fault of the next image: every tenth has it.
    func fault(among faults: [MockFault]) -> MockFault? {
        guard let fault = faults.first(where: has) else { return nil }
        number += 1
        return number % 10 == 0 ? fault : nil
    }

    /// Generates an image; calls `preview` with the index of each preview and `done` with the file.
    func generate(
        _ parameters: MockParameters, _ response: MockResponse, previews: Int = 0,
        preview: @escaping (Int) -> Void = { _ in }, done: @escaping ([UInt8]) -> Void
    ) {
        response.facts.wantsImage = true
        response.facts.steps = parameters.evaluations
        response.facts.size = "\(parameters.width)x\(parameters.height)"
        response.facts.pixels = parameters.width * parameters.height
        if fault(among: [.rejected]) != nil || devices.queueLength >= settings.queueLimit {
            response.facts.code = "queue_full"
            response.send(429, "application/json", Array(#"{"error":{"message":"full"}}"#.utf8))
            return
        }
        let key = parameters.key
        let isKnown = known[has(.cache) ? parameters.prompt : key] != nil
        let source = known[parameters.prompt] ?? key
        if has(.cache) {
            known[parameters.prompt] = source
        } else {
            known[key] = key
        }
        let asked = NIODeadline.now()
        let finish = { [self] in
            response.facts.run =
                Double((NIODeadline.now() - asked).nanoseconds) / 1e9 - response.facts.queue
            response.facts.isDelivered = true
            done(file(parameters, source: has(.cache) ? source : key))
        }
        if has(.cache), isKnown {
            finish()
            return
        }
        devices.submit(
            .init(
                steps: parameters.evaluations, factor: has(.silentCache) && isKnown ? 0.5 : 1,
                started: { [self] time in
                    response.facts.queue = Double((NIODeadline.now() - asked).nanoseconds) / 1e9
                    schedule(previews, parameters, time, asked, response, preview)
                }, finished: finish))
    }

    /// Schedules the previews over the steps.
    private func schedule(
        _ previews: Int, _ parameters: MockParameters, _ time: TimeAmount, _ asked: NIODeadline,
        _ response: MockResponse, _ preview: @escaping (Int) -> Void
    ) {
        guard previews > 0, parameters.steps > 1 else { return }
        for index in 0..<previews {
            let step = max(1, (index + 1) * parameters.steps / (previews + 1))
            var delay = Double(time.nanoseconds) * Double(step) / Double(parameters.steps)
            if has(.timedPreview), index == 0 {
                delay = 0.2 * Double(time.nanoseconds) / Double(parameters.steps)
            }
            let bound = NIOLoopBound((response, preview), eventLoop: loop)
            loop.scheduleTask(in: .nanoseconds(Int64(delay))) {
                let (response, preview) = bound.value
                if index == 0 {
                    response.facts.firstPreview =
                        Double((NIODeadline.now() - asked).nanoseconds) / 1e9
                }
                preview(index)
            }
        }
    }

    /// The file of an image.
    private func file(_ parameters: MockParameters, source: String) -> [UInt8] {
        let fault = fault(among: [.wrongSize, .wrongFormat, .blank, .noImage, .unchanged])
        if fault == .unchanged, let source = parameters.source { return source }
        if fault == .noImage { return Array("this is not an image, whatever its name says".utf8) }
        var text = has(.duplicate) ? parameters.prompt : source
        if has(.random) {
            number += 1
            text += " \(number)"
        }
        let divisor = has(.halfSize) ? 2 : 1
        let width = parameters.width / divisor + (fault == .wrongSize ? 16 : 0)
        let height = parameters.height / divisor
        do {
            let image =
                fault == .blank
                ? try MockImage.grey(width: width, height: height)
                : try MockImage.generate(text, width: width, height: height)
            return try ImageEncoder.encode(
                image, as: ImageEncoding(format: fault == .wrongFormat ? .webp : parameters.format))
        } catch {
            return []
        }
    }
}

/// The parameters of a request of any dialect.
struct MockParameters {
    var prompt: String
    var width: Int
    var height: Int
    var steps: Int
    var seed: Int
    var guidance: Double
    var format: ImageFormat
    /// The image to start from, the mask, and the image of the ControlNet, as files.
    var source: [UInt8]?
    var mask: [UInt8]?
    var control: [UInt8]?
    var strength = 1.0
    var lora = ""

    init(
        prompt: String, width: Int, height: Int, steps: Int, seed: Int, guidance: Double,
        format: ImageFormat
    ) {
        self.prompt = prompt
        self.width = width
        self.height = height
        self.steps = steps
        self.seed = seed
        self.guidance = guidance
        self.format = format
    }

    /// Steps that are run: an edit begins within the schedule.
    var evaluations: Int {
        source == nil ? steps : max(1, Int((Double(steps) * strength).rounded(.down)))
    }

    /// Equal for requests with equal pixels.
    var key: String {
        var key = "\(prompt) \(width)x\(height) \(steps) \(seed) \(guidance)"
        for file in [source, mask, control].compactMap(\.self) {
            key += " " + SHA256.hexadecimal(file)
        }
        if source != nil { key += " \(strength)" }
        return lora.isEmpty ? key : key + " " + lora
    }
}
