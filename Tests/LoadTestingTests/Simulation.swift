// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting

/// A closed loop against m devices with one queue, on a virtual clock, with known results.
///
/// With N users and N >= m the devices are always busy: X = m / S and, by Little's law,
/// R = N S / m. Below, X = N / S and R = S.
struct Simulation {
    var users = 4
    var devices = 2
    /// Mean seconds of work on an image.
    var service = 0.4
    /// Standard deviation of the work as a share of its mean.
    var spread = 0.3
    var settle = 5.0
    var hold = 60.0
    /// Milliseconds between the server's last byte and the client's.
    var wire = 0.3
    var seed: UInt64 = 1
    var level = "closed-004"
    var visit = 1
    /// Virtual nanoseconds of the start of settling.
    var start: Int64 = 1_000_000_000
    var width = 128
    var height = 128
    var steps = 8

    static let run = "20260101T101500Z-simulated"
    static let unixStart = 1_800_000_000.0

    var trueThroughput: Double { Double(min(users, devices)) / service }
    var trueEndToEnd: Double { Double(users) / trueThroughput }

    /// The hold.
    var held: TimeRange {
        TimeRange(start: start + nanoseconds(settle), end: start + nanoseconds(settle + hold))
    }

    private func nanoseconds(_ seconds: Double) -> Int64 { Int64((seconds * 1e9).rounded()) }

    /// The requests of settle and hold, in order of completion.
    func records() -> [LoadRequestRecord] {
        var generator = SplitMix64(seed: seed)
        var free = [Double](repeating: 0, count: devices)
        // All users start within the first service time, as real ones do.
        var next = (0..<users).map { (time: Double($0) / Double(users) * service, user: $0) }
        var records: [LoadRequestRecord] = []
        let shape = 1 / (spread * spread)
        var sequence = 0
        while let place = next.indices.min(by: { next[$0].time < next[$1].time }) {
            let (time, user) = next[place]
            guard time < settle + hold else { break }
            let device = free.indices.min { free[$0] < free[$1] } ?? 0
            let work = spread > 0 ? service * Self.gamma(shape, &generator) / shape : service
            let begin = max(time, free[device])
            free[device] = begin + work
            let end = begin + work + wire / 1000
            records.append(
                record(sequence, user, sent: time, began: begin, work: work, ended: end))
            next[place].time = end
            sequence += 1
        }
        return records.sorted { ($0.times.end ?? 0) < ($1.times.end ?? 0) }
    }

    private func record(
        _ sequence: Int, _ user: Int, sent: Double, began: Double, work: Double, ended: Double
    ) -> LoadRequestRecord {
        let at = { (seconds: Double) in start + nanoseconds(seconds) }
        let id = "\(Self.run)-\(level)-r\(visit)-\(sequence)"
        let step = 0.9 * work / Double(steps)
        let parameters = RequestParameters(
            prompt: "image \(level) \(sequence)", width: width, height: height, steps: steps,
            seed: UInt32(truncatingIfNeeded: sequence &* 7919 &+ Int(seed)), partialImages: 2)
        var times = RequestTimes(planned: at(sent), send: at(sent) + 5000)
        times.headOut = times.send + 20_000
        times.headIn = times.send + 400_000
        times.firstByte = times.send + 500_000
        times.previews = [3, 6].map { at(began + step * Double($0)) + nanoseconds(wire / 1000) }
        times.image = at(ended)
        times.end = at(ended)
        return LoadRequestRecord(
            id: id, level: level, visit: visit, sequence: sequence, user: user,
            phase: sent < settle ? .settle : .hold, dialect: .openAIStream, parameters: parameters,
            times: times,
            calls: [
                WireCall(
                    id: id, echoedId: id, method: "POST", path: "/v1/images/generations",
                    status: 200,
                    bodyBytes: 40_000 + sequence, send: times.send, end: times.end)
            ],
            bodyBytes: 40_000 + sequence,
            image: ImageFacts(
                format: "png", width: width, height: height, fileBytes: 30_000,
                pixelDigest: "\(level)-\(visit)-\(sequence)-\(seed)",
                differenceHash: String(UInt64(sequence) &* 0x9E37_79B9_7F4A_7C15, radix: 16)),
            server: ServerTimings(
                queue: began - sent, text: 0, steps: Array(repeating: step, count: steps),
                decode: 0.1 * work, run: work, total: began - sent + work))
    }

    /// The level as read from its folder.
    func evidence() -> LevelEvidence {
        let records = records()
        let visit = LevelVisit(
            level: level, visit: visit, load: LoadModel(kind: .closed, users: users))
        var result = LevelResult(
            level: level, visit: visit.visit, load: visit.load,
            begin: ClockAnchor(
                monotonic: start, unixMicroseconds: Int64(Self.unixStart * 1e6) + start / 1000))
        let held = self.held
        let last = records.compactMap(\.times.end).max() ?? held.end
        result.phases = [
            Phase.settle.rawValue: TimeRange(start: start, end: held.start),
            Phase.hold.rawValue: held,
            Phase.drain.rawValue: TimeRange(start: held.end, end: max(held.end, last)),
        ]
        result.isComplete = true
        result.accounting.planned = records.count
        result.accounting.sent = records.count
        result.accounting.valid = records.count
        result.resources.testerCores = 0.05
        result.resources.loopLagP99 = 0.4
        result.resources.testerResidentMax = 40
        result.resources.testerResidentSlope = 1
        result.resources.deviceMemoryMax = 300 + 2 * Double(users)
        var evidence = LevelEvidence(visit: visit, result: result, records: records)
        evidence.series = series(records, end: last)
        evidence.log = records.compactMap {
            AccessLogLine(Self.line($0, anchor: result.begin, wire: wire))
        }
        evidence.metrics = MetricsDifference(
            before: MetricsSnapshot(text: metrics([])),
            after: MetricsSnapshot(text: metrics(records)))
        return evidence
    }

    private func series(_ records: [LoadRequestRecord], end: Int64) -> [SeriesBin] {
        let second: Int64 = 1_000_000_000
        return (0...Int((end - start) / second)).map { index in
            let range = TimeRange(
                start: start + Int64(index) * second, end: start + Int64(index + 1) * second)
            var bin = SeriesBin(second: index, phase: Double(index) < settle ? .settle : .hold)
            for record in records {
                let overlap =
                    min(record.times.end ?? end, range.end) - max(record.times.send, range.start)
                bin.inFlight += Double(max(0, overlap)) / 1e9
                if range.contains(record.times.send) { bin.sent += 1 }
                if range.contains(record.times.end ?? end) { bin.valid += 1 }
            }
            bin.hostMemory = 300
            return bin
        }
    }

    /// The line of the access log.
    static func line(_ record: LoadRequestRecord, anchor: ClockAnchor, wire: Double) -> String {
        let end = Double((record.times.end ?? 0) - anchor.monotonic) / 1e9 - wire / 1000
        let unix = Double(anchor.unixMicroseconds) / 1e6 + end
        let seconds = Double((record.times.end ?? 0) - record.times.send) / 1e9 - wire / 1000
        let call = record.calls[0]
        return "127.0.0.1 - - [01/Jan/2026:10:15:00 +0000] \"POST \(call.path) HTTP/1.1\" 200 "
            + "\(call.bodyBytes) \"-\" \"imgbench\" rt=\(Figures.decimals(seconds, 3)) urt=- id=\(call.id) "
            + "msec=\(Figures.decimals(unix, 3)) code=ok q=- run=- n=1 steps=8 size=128x128 model=m trace=-"
    }

    /// The server's counters after these requests.
    func metrics(_ records: [LoadRequestRecord]) -> String {
        let count = records.count
        let sum = { (values: [Double]) in "\(values.reduce(0, +))" }
        let total = records.compactMap { $0.endToEnd.map { Double($0) / 1e9 - wire / 1000 } }
        let preview = records.compactMap { $0.firstPreviewMs.map { $0 / 1000 } }
        let tokens = records.reduce(0) {
            $0 + $1.parameters.steps * (WorkModel.imageTokens(width: width, height: height) + 64)
        }
        return """
            # TYPE inkstone_requests_total counter
            inkstone_requests_total{route="/v1/images/generations",method="POST",status="200",code="ok"} \(count)
            inkstone_request_duration_seconds_sum{route="/v1/images/generations",model="m",status="200"} \(sum(total))
            inkstone_request_duration_seconds_count{route="/v1/images/generations",model="m",status="200"} \(count)
            inkstone_images_total{model="m"} \(count)
            inkstone_pixels_total{model="m"} \(count * width * height)
            inkstone_denoise_evaluations_total{model="m"} \(count * steps)
            inkstone_denoise_tokens_total{model="m"} \(tokens)
            inkstone_time_to_first_preview_seconds_sum{model="m"} \(sum(preview))
            inkstone_time_to_first_preview_seconds_count{model="m"} \(count)
            inkstone_queue_time_seconds_sum{model="m"} \(sum(records.compactMap { $0.server?.queue }))
            inkstone_queue_time_seconds_count{model="m"} \(count)
            inkstone_engine_busy_seconds_total{device="0"} \(sum(records.compactMap { $0.server?.run }) == "0.0" ? "0" : "\(records.compactMap { $0.server?.run }.reduce(0, +) / Double(devices))")
            """
    }

    /// A gamma variate of a shape above 1.
    ///
    /// - Source: Marsaglia, Tsang, "A simple method for generating gamma variables", ACM TOMS 26(3).
    static func gamma(_ shape: Double, _ generator: inout SplitMix64) -> Double {
        let d = shape - 1.0 / 3
        let c = 1 / (9 * d).squareRoot()
        while true {
            let radius = (-2 * log(1 - Double.random(in: 0..<1, using: &generator))).squareRoot()
            let x = radius * cos(2 * .pi * Double.random(in: 0..<1, using: &generator))
            let v = pow(1 + c * x, 3)
            let u = Double.random(in: 0..<1, using: &generator)
            if v > 0, log(1 - u) < 0.5 * x * x + d - d * v + d * log(v) { return d * v }
        }
    }
}

/// A run of several simulated levels without faults.
enum SimulatedRun {
    static func manifest(_ levels: [LevelVisit]) -> Manifest {
        var target = TargetFacts(
            url: "http://127.0.0.1:9997", dialect: .openAIStream, devices: 2)
        target.server = "simulated 1.0"
        target.model = "emoji-nano"
        target.precision = "f32"
        target.parameters = 7e6
        target.device = "measured"
        target.peakOperations = 100e9
        target.peakBandwidth = 20e9
        target.process = 4711
        target.declaredCaches = ["prompt": "captions"]
        var manifest = Manifest(
            run: Simulation.run, name: "simulated", sweep: .concurrency,
            program: ProgramFacts(version: "0.1.0", commit: "0123456789ab"),
            host: HostFacts(
                name: "host", kernel: "Linux 6.1", processor: "virtual", logicalProcessors: 2,
                memory: 24_000),
            target: target, scenarioDigest: "5ce0", planDigest: "9a1a", seed: 20_260_101,
            clock: ClockAnchor(monotonic: 0, unixMicroseconds: Int64(Simulation.unixStart * 1e6)),
            levels: levels, arguments: ["imgbench", "sweep", "concurrency"])
        manifest.status = .complete
        manifest.finished = manifest.clock.unixMicroseconds + 600_000_000
        manifest.linkBytesPerSecond = 125e6
        return manifest
    }

    static func evidence(
        users: [Int] = [1, 2, 4, 8], hold: Double = 60, seed: UInt64 = 11,
        change: (inout Simulation) -> Void = { _ in }
    ) -> RunEvidence {
        var start: Int64 = 1_000_000_000
        let levels = users.map { count in
            var simulation = Simulation(
                users: count, hold: hold, seed: seed &+ UInt64(count),
                level: "closed-" + String(1000 + count).dropFirst(), start: start)
            change(&simulation)
            start += Int64((simulation.settle + simulation.hold + 20) * 1e9)
            return simulation.evidence()
        }
        var run = RunEvidence(manifest: manifest(levels.map(\.visit)), levels: levels)
        run.probes = probes(of: levels, start: start)
        run.compute()
        for index in run.levels.indices {
            let figures = run.levels[index].figures
            run.levels[index].result?.figures = figures
        }
        return run
    }

    /// Repeated requests with the same pixels, and pairs of equal and new ones with equal times.
    private static func probes(of levels: [LevelEvidence], start: Int64) -> LevelEvidence {
        let visit = LevelVisit(level: "probes", visit: 1, load: LoadModel(kind: .probes))
        var records: [LoadRequestRecord] = []
        var generator = SplitMix64(seed: 99)
        func add(
            _ template: LoadRequestRecord, _ purpose: LoadRequestRecord.Purpose,
            repeats: String? = nil
        ) {
            var record = template
            let sequence = records.count
            record.id = "\(Simulation.run)-probes-r1-\(sequence)"
            record.level = "probes"
            record.sequence = sequence
            record.purpose = purpose
            record.repeats = repeats
            record.user = nil
            let length = Int64(Double.random(in: 0.36...0.44, using: &generator) * 1e9)
            let send = start + Int64(sequence) * 500_000_000
            record.times = RequestTimes(planned: send, send: send)
            record.times.end = send + length
            record.calls = [
                WireCall(
                    id: record.id, echoedId: record.id, method: "POST",
                    path: "/v1/images/generations",
                    status: 200, bodyBytes: 1000, send: send, end: send + length)
            ]
            records.append(record)
        }
        let loads = levels.flatMap(\.load)
        for record in loads.prefix(3) { add(record, .determinism, repeats: record.id) }
        add(loads[0], .cacheIdentical)
        for pair in 0..<20 {
            add(loads[0], .cacheIdentical)
            var other = loads[0]
            other.parameters.seed = 1_000_000 + UInt32(pair)
            add(other, .cacheUnique)
        }
        return LevelEvidence(visit: visit, result: nil, records: records)
    }
}
