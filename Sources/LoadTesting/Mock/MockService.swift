// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import NIOCore
import NIOHTTP1

/// What the mock server answers.
///
/// Lives on one event loop.
final class MockService {
    let loop: any EventLoop
    let settings: MockSettings
    let devices: MockDevices
    private let log: MockLog?
    var connections = 0
    var mostConnections = 0
    var metrics = MockMetrics()
    var jobs: [String: MockJob] = [:]
    /// The newest preview, which `/sdapi/v1/progress` shows to everybody.
    var current: [UInt8]?
    /// Images asked for, to hit every tenth.
    private var number = 0
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

    func answer(_ request: MockRequest, _ answer: MockAnswer) {
        if !["/metrics", "/readyz", "/version"].contains(request.path) { metrics.inFlight += 1 }
        switch (request.head.method, request.path) {
        case (.GET, "/readyz"):
            answer.send(200, "application/json", Array(#"{"status":"ok"}"#.utf8))
        case (.GET, "/version"): answer.send(200, "text/plain", Array("imgbench mock".utf8))
        case (.GET, "/metrics"):
            answer.send(200, "text/plain; version=0.0.4", Array(metrics.text(self).utf8))
        case (.POST, "/v1/images/generations"): openAI(request, answer)
        case (.POST, "/sdapi/v1/txt2img"): a1111(request, answer)
        case (.GET, "/sdapi/v1/progress"):
            answer.send(200, "application/json", Array(progress().utf8))
        case (.POST, "/api/jobs"): submitJob(request, answer)
        case (.GET, let path) where path.hasPrefix("/api/jobs/"): job(path, answer)
        default: answer.send(404, "application/json", Array(#"{"error":{"message":"no"}}"#.utf8))
        }
    }

    /// Counts an answer that is complete and writes its line.
    func tell(_ answer: MockAnswer) {
        let request = answer.request
        let isPlumbing = ["/metrics", "/readyz", "/version"].contains(request.path)
        if !isPlumbing { metrics.inFlight -= 1 }
        var seconds = Double((NIODeadline.now() - request.begin).nanoseconds) / 1e9
        metrics.count(answer, seconds, self)
        guard let log else { return }
        metrics.lines += 1
        if has(.lostLine), metrics.lines % 10 == 0 { return }
        if has(.earlyClock) { seconds *= 0.9 }
        var now = Date().timeIntervalSince1970
        if has(.clockStep), metrics.lines > 20 { now += 0.05 }
        let bytes = has(.wrongBytes) && answer.bytes > 100 ? answer.bytes - 7 : answer.bytes
        let facts = answer.facts
        log.write(
            "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"\(request.head.method) \(request.path)"
                + " HTTP/1.1\" \(answer.status) \(bytes) \"-\" \"imgbench\""
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

    /// Which fault an image gets: every tenth has it.
    func fault(among faults: [MockFault]) -> MockFault? {
        guard let fault = faults.first(where: has) else { return nil }
        number += 1
        return number % 10 == 0 ? fault : nil
    }

    /// Works on an image; `preview` is told of each preview's place, `done` of the file.
    func draw(
        _ wanted: MockWanted, _ answer: MockAnswer, previews: Int = 0,
        preview: @escaping (Int) -> Void = { _ in }, done: @escaping ([UInt8]) -> Void
    ) {
        answer.facts.wantsImage = true
        answer.facts.steps = wanted.steps
        answer.facts.size = "\(wanted.width)x\(wanted.height)"
        answer.facts.pixels = wanted.width * wanted.height
        if fault(among: [.rejected]) != nil || devices.queueLength >= settings.queueLimit {
            answer.facts.code = "queue_full"
            answer.send(429, "application/json", Array(#"{"error":{"message":"full"}}"#.utf8))
            return
        }
        let key = wanted.key
        let isKnown = known[has(.cache) ? wanted.prompt : key] != nil
        let source = known[wanted.prompt] ?? key
        if has(.cache) {
            known[wanted.prompt] = source
        } else {
            known[key] = key
        }
        let asked = NIODeadline.now()
        let finish = { [self] in
            answer.facts.run =
                Double((NIODeadline.now() - asked).nanoseconds) / 1e9 - answer.facts.queue
            answer.facts.isDelivered = true
            done(file(wanted, source: has(.cache) ? source : key))
        }
        if has(.cache), isKnown {
            finish()
            return
        }
        devices.submit(
            .init(
                steps: wanted.steps, factor: has(.silentCache) && isKnown ? 0.5 : 1,
                started: { [self] time in
                    answer.facts.queue = Double((NIODeadline.now() - asked).nanoseconds) / 1e9
                    plan(previews, wanted, time, asked, answer, preview)
                }, finished: finish))
    }

    /// Spreads the previews over the steps.
    private func plan(
        _ previews: Int, _ wanted: MockWanted, _ time: TimeAmount, _ asked: NIODeadline,
        _ answer: MockAnswer, _ preview: @escaping (Int) -> Void
    ) {
        guard previews > 0, wanted.steps > 1 else { return }
        for index in 0..<previews {
            let step = max(1, (index + 1) * wanted.steps / (previews + 1))
            var delay = Double(time.nanoseconds) * Double(step) / Double(wanted.steps)
            if has(.timedPreview), index == 0 {
                delay = 0.2 * Double(time.nanoseconds) / Double(wanted.steps)
            }
            let bound = NIOLoopBound((answer, preview), eventLoop: loop)
            loop.scheduleTask(in: .nanoseconds(Int64(delay))) {
                let (answer, preview) = bound.value
                if index == 0 {
                    answer.facts.firstPreview =
                        Double((NIODeadline.now() - asked).nanoseconds) / 1e9
                }
                preview(index)
            }
        }
    }

    /// The image's file.
    private func file(_ wanted: MockWanted, source: String) -> [UInt8] {
        let fault = fault(among: [.wrongSize, .wrongFormat, .blank, .noImage])
        if fault == .noImage { return Array("this is no image, whatever its name says".utf8) }
        var text = has(.duplicate) ? wanted.prompt : source
        if has(.random) {
            number += 1
            text += " \(number)"
        }
        let width = wanted.width + (fault == .wrongSize ? 16 : 0)
        do {
            let image =
                fault == .blank
                ? try MockImage.grey(width: width, height: wanted.height)
                : try MockImage.draw(text, width: width, height: wanted.height)
            return try ImageEncoder.encode(
                image, as: ImageEncoding(format: fault == .wrongFormat ? .webp : wanted.format))
        } catch {
            return []
        }
    }
}

/// What a request of any dialect asks for.
struct MockWanted {
    var prompt: String
    var width: Int
    var height: Int
    var steps: Int
    var seed: Int
    var guidance: Double
    var format: ImageFormat

    var key: String { "\(prompt) \(width)x\(height) \(steps) \(seed) \(guidance)" }
}
