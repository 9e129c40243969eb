// Part of Inkstone. Licence: see LICENSE.

import NIOHTTP1

/// The counters of the mock server, under the names of `inkstone serve`.
struct MockMetrics {
    private struct Sum {
        var count = 0
        var sum = 0.0

        mutating func add(_ value: Double) {
            count += 1
            sum += value
        }
    }

    var inFlight = 0
    var lines = 0
    private var requests: [String: Int] = [:]
    private var durations: [String: Sum] = [:]
    private var generations: [String: Int] = [:]
    private var queue = Sum()
    private var run = Sum()
    private var firstPreview = Sum()
    private var images = 0
    private var pixels = 0
    private var evaluations = 0

    /// Counts a complete response.
    mutating func count(_ response: MockResponse, _ seconds: Double, _ service: MockService) {
        let route =
            response.request.path.hasPrefix("/api/jobs/") ? "/api/jobs/:id" : response.request.path
        let labels =
            "route=\"\(route)\",method=\"\(response.request.head.method)\","
            + "status=\"\(response.status)\",code=\"\(response.facts.code)\""
        requests[labels, default: 0] += 1
        let model = response.facts.wantsImage ? "mock" : ""
        durations[
            "route=\"\(route)\",model=\"\(model)\",status=\"\(response.status)\"", default: Sum()
        ].add(seconds * (service.has(.durationSum) ? 1.05 : 1))
        if response.facts.wantsImage { countImage(response.facts, service) }
    }

    /// Counts a requested image.
    mutating func countImage(_ facts: MockFacts, _ service: MockService) {
        guard facts.code != "queue_full" else { return }
        generations[facts.isDelivered ? "ok" : "internal", default: 0] += 1
        queue.add(facts.queue)
        run.add(facts.queue + facts.run)
        if let time = facts.firstPreview { firstPreview.add(time) }
        guard facts.isDelivered else { return }
        images += 1
        if service.has(.counter), images % 7 == 0 { images += 1 }
        pixels += facts.pixels
        evaluations += facts.steps - (service.has(.fewerSteps) ? 1 : 0)
    }

    /// The metrics in Prometheus' text format.
    func text(_ service: MockService) -> String {
        let model = "model=\"mock\""
        return (requestLines + generationLines(model, service) + modelLines(model, service))
            .joined(separator: "\n") + "\n"
    }

    private var requestLines: [String] {
        Self.counter(
            "inkstone_requests_total",
            requests.sorted { $0.key < $1.key }.map { ($0.key, String($0.value)) })
            + Self.histogram(
                "inkstone_request_duration_seconds", durations.sorted { $0.key < $1.key }.map { $0 }
            )
            + Self.counter(
                "inkstone_requests_in_flight", [("", String(inFlight))], kind: "gauge")
    }

    private func generationLines(_ model: String, _ service: MockService) -> [String] {
        let devices = service.devices
        let batches = Sum(count: devices.batches.count, sum: Double(devices.batches.images))
        let steps = Sum(count: devices.stepSeconds.count, sum: devices.stepSeconds.sum)
        return Self.histogram("inkstone_queue_time_seconds", [(model, queue)])
            + Self.histogram("inkstone_time_to_first_preview_seconds", [(model, firstPreview)])
            + Self.histogram("inkstone_generation_duration_seconds", [(model, run)])
            + Self.counter(
                "inkstone_generations_total",
                generations.sorted { $0.key < $1.key }.map {
                    ("\(model),outcome=\"\($0.key)\"", String($0.value))
                })
            + Self.counter("inkstone_images_total", [(model, String(images))])
            + Self.counter("inkstone_pixels_total", [(model, String(pixels))])
            + Self.counter("inkstone_denoise_evaluations_total", [(model, String(evaluations))])
            + Self.histogram("inkstone_batch_size", [(model, batches)])
            + Self.histogram("inkstone_denoise_step_seconds", [(model, steps)])
            + Self.counter(
                "inkstone_engine_busy_seconds_total",
                devices.busySeconds.enumerated().map { device, seconds in
                    ("device=\"\(device)\"", String(seconds * (service.has(.busy) ? 2 : 1)))
                })
    }

    private func modelLines(_ model: String, _ service: MockService) -> [String] {
        let parameters = service.has(.hugeModel) ? "6140000000" : "1000"
        let cache = ("cache=\"prompt\",keeps=\"captions\"", "1")
        return Self.counter(
            "inkstone_model_info", [("\(model),precision=\"f32\",kernels=\"none\"", "1")],
            kind: "gauge")
            + Self.counter("inkstone_model_parameters", [(model, parameters)], kind: "gauge")
            + (service.settings.declaresCache
                ? Self.counter("inkstone_cache_info", [cache], kind: "gauge") : [])
    }

    private static func counter(
        _ name: String, _ values: [(String, String)], kind: String = "counter"
    ) -> [String] {
        ["# HELP \(name) see Docs/metrics.md", "# TYPE \(name) \(kind)"]
            + values.map { labels, value in
                labels.isEmpty ? "\(name) \(value)" : "\(name){\(labels)} \(value)"
            }
    }

    private static func histogram(_ name: String, _ values: [(String, Sum)]) -> [String] {
        ["# HELP \(name) see Docs/metrics.md", "# TYPE \(name) histogram"]
            + values.flatMap { labels, sum in
                [
                    "\(name)_bucket{\(labels),le=\"+Inf\"} \(sum.count)",
                    "\(name)_sum{\(labels)} \(sum.sum)", "\(name)_count{\(labels)} \(sum.count)",
                ]
            }
    }
}
