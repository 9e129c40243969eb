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

    /// Counts an answer that is complete.
    mutating func count(_ answer: MockAnswer, _ seconds: Double, _ service: MockService) {
        let route =
            answer.request.path.hasPrefix("/api/jobs/") ? "/api/jobs/:id" : answer.request.path
        let labels =
            "route=\"\(route)\",method=\"\(answer.request.head.method)\","
            + "status=\"\(answer.status)\",code=\"\(answer.facts.code)\""
        requests[labels, default: 0] += 1
        let model = answer.facts.wantsImage ? "mock" : ""
        durations[
            "route=\"\(route)\",model=\"\(model)\",status=\"\(answer.status)\"", default: Sum()
        ].add(seconds * (service.has(.durationSum) ? 1.05 : 1))
        if answer.facts.wantsImage { countImage(answer.facts, service) }
    }

    /// Counts an image that was asked for.
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

    func text(_ service: MockService) -> String {
        var lines: [String] = []
        func counter(_ name: String, _ values: [(String, String)], kind: String = "counter") {
            lines.append("# HELP \(name) see Docs/metrics.md")
            lines.append("# TYPE \(name) \(kind)")
            for (labels, value) in values {
                lines.append(labels.isEmpty ? "\(name) \(value)" : "\(name){\(labels)} \(value)")
            }
        }
        func histogram(_ name: String, _ values: [(String, Sum)]) {
            lines.append("# HELP \(name) see Docs/metrics.md")
            lines.append("# TYPE \(name) histogram")
            for (labels, sum) in values {
                lines.append("\(name)_bucket{\(labels),le=\"+Inf\"} \(sum.count)")
                lines.append("\(name)_sum{\(labels)} \(sum.sum)")
                lines.append("\(name)_count{\(labels)} \(sum.count)")
            }
        }
        let model = "model=\"mock\""
        let devices = service.devices
        counter(
            "inkstone_requests_total",
            requests.sorted { $0.key < $1.key }.map { ($0.key, String($0.value)) })
        histogram(
            "inkstone_request_duration_seconds", durations.sorted { $0.key < $1.key }.map { $0 })
        counter("inkstone_requests_in_flight", [("", String(inFlight))], kind: "gauge")
        histogram("inkstone_queue_time_seconds", [(model, queue)])
        histogram("inkstone_time_to_first_preview_seconds", [(model, firstPreview)])
        histogram("inkstone_generation_duration_seconds", [(model, run)])
        counter(
            "inkstone_generations_total",
            generations.sorted { $0.key < $1.key }.map {
                ("\(model),outcome=\"\($0.key)\"", String($0.value))
            })
        counter("inkstone_images_total", [(model, String(images))])
        counter("inkstone_pixels_total", [(model, String(pixels))])
        counter("inkstone_denoise_evaluations_total", [(model, String(evaluations))])
        var batches = Sum()
        (batches.count, batches.sum) = (devices.batches.count, Double(devices.batches.images))
        histogram("inkstone_batch_size", [(model, batches)])
        var steps = Sum()
        (steps.count, steps.sum) = devices.stepSeconds
        histogram("inkstone_denoise_step_seconds", [(model, steps)])
        counter(
            "inkstone_engine_busy_seconds_total",
            devices.busySeconds.enumerated().map { device, seconds in
                ("device=\"\(device)\"", String(seconds * (service.has(.busy) ? 2 : 1)))
            })
        counter(
            "inkstone_model_info",
            [("\(model),precision=\"f32\",kernels=\"none\"", "1")], kind: "gauge")
        counter(
            "inkstone_model_parameters",
            [(model, service.has(.hugeModel) ? "6140000000" : "1000")], kind: "gauge")
        if service.settings.declaresCache {
            counter(
                "inkstone_cache_info", [("cache=\"prompt\",keeps=\"captions\"", "1")],
                kind: "gauge")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
