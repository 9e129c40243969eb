// Part of Inkstone. Licence: see LICENSE.

import CoreMetrics
import Service
import Telemetry
import Testing

@Suite("Metrics that libraries record through swift-metrics")
struct LibraryMetricsTests {
    private let registry = MetricRegistry()
    private let factory: LibraryMetrics

    init() { factory = LibraryMetrics(registry) }

    private func exported() throws -> PrometheusText {
        try PrometheusText(MetricsText.render(registry.families, as: .prometheus))
    }

    @Test("counters, meters, recorders and timers are exported under names of Prometheus")
    func kinds() throws {
        let route = [("http.route", "/v1/images"), ("http.request.method", "GET")]
        let labels = ["http_route": "/v1/images", "http_request_method": "GET"]
        let counter = CoreMetrics.Counter(label: "hb.requests", dimensions: route, factory: factory)
        counter.increment(by: 2)
        counter.increment()
        FloatingPointCounter(label: "pool.wait_total", dimensions: [], factory: factory)
            .increment(by: 0.25)
        let meter = Meter(
            label: "http.server.active_requests", dimensions: [], factory: factory)
        meter.increment(by: 3)
        meter.decrement()
        CoreMetrics.Gauge(label: "9 lives", dimensions: [], factory: factory).record(7.5)
        let recorder = Recorder(label: "body-bytes", dimensions: [], factory: factory)
        for size in [5, 50, 2_000_000_000] { recorder.record(size) }
        let timer = CoreMetrics.Timer(
            label: "http.server.request.duration", dimensions: route, factory: factory)
        timer.recordMilliseconds(20)
        timer.recordSeconds(2)

        let read = try exported()
        #expect(
            read.kinds == [
                "hb_requests_total": "counter", "pool_wait_total": "counter",
                "http_server_active_requests": "gauge", "_9_lives": "gauge",
                "body_bytes": "histogram", "http_server_request_duration_seconds": "histogram",
            ])
        #expect(read.value("hb_requests_total", labels) == 3)
        #expect(read.value("pool_wait_total") == 0.25)
        #expect(read.value("http_server_active_requests") == 2)
        #expect(read.value("_9_lives") == 7.5)
        #expect(read.value("body_bytes_bucket", ["le": "10.0"]) == 1)
        #expect(read.value("body_bytes_bucket", ["le": "+Inf"]) == 3)
        #expect(read.value("body_bytes_sum") == 2_000_000_055)
        let duration = "http_server_request_duration_seconds"
        #expect(read.value("\(duration)_count", labels) == 2)
        #expect(try abs(#require(read.value("\(duration)_sum", labels)) - 2.02) < 1e-9)
        #expect(
            read.value("\(duration)_bucket", labels.merging(["le": "0.025"]) { $1 }) == 1)
    }

    @Test("a metric made again continues its series, and a destroyed one is not exported")
    func lifetime() throws {
        let first = CoreMetrics.Counter(label: "a", dimensions: [("b", "c")], factory: factory)
        let second = CoreMetrics.Counter(label: "a", dimensions: [("b", "c")], factory: factory)
        let other = CoreMetrics.Counter(label: "a", dimensions: [("d", "e")], factory: factory)
        first.increment()
        second.increment()
        other.increment()
        #expect(try exported().value("a_total", ["b": "c"]) == 2)
        second.reset()
        #expect(try exported().value("a_total", ["b": "c"]) == 0)
        first.destroy()
        #expect(try exported().value("a_total", ["b": "c"]) == nil)
        #expect(try exported().value("a_total", ["d": "e"]) == 1)
    }

    @Test("names that are taken get a prefix, so that no name is exported twice")
    func collisions() throws {
        registry.gauge("depth", "The registry's own.").set(1)
        Meter(label: "depth", dimensions: [], factory: factory).set(2)
        // The same name for another kind of metric, and for another label.
        Recorder(label: "depth", dimensions: [], factory: factory).record(3)
        Meter(label: "open.files", dimensions: [], factory: factory).set(4)
        Meter(label: "open-files", dimensions: [], factory: factory).set(5)
        Meter(label: "process_open_fds", dimensions: [], factory: factory).set(6)
        CoreMetrics.Counter(label: "inkstone_images", dimensions: [], factory: factory).increment()
        let read = try exported()
        #expect(read.value("depth") == 1)
        #expect(read.value("library_depth") == 2)
        #expect(read.value("library_library_depth_sum") == 3)
        #expect(read.value("open_files") == 4)
        #expect(read.value("library_open_files") == 5)
        #expect(read.value("library_process_open_fds") == 6)
        #expect(read.value("library_inkstone_images_total") == 1)
    }

    @Test("dimensions become valid labels")
    func labels() throws {
        Meter(
            label: "m", dimensions: [("le", "1"), ("a.b", "x"), ("a.b", "y"), ("", "z")],
            factory: factory
        ).set(1)
        #expect(try exported().value("m", ["label_le": "1", "a_b": "y", "_": "z"]) == 1)
    }

    @Test("the number of series of a metric is limited")
    func limit() throws {
        for index in 0..<(LibraryMetrics.maximumSeries + 5) {
            CoreMetrics.Counter(label: "c", dimensions: [("path", "\(index)")], factory: factory)
                .increment()
        }
        #expect(try exported().samples.count == LibraryMetrics.maximumSeries)
    }

    @Test("what a service exports does not collide with Hummingbird's names")
    func service() throws {
        let telemetry = ServiceTelemetry(version: "1")
        let factory = LibraryMetrics(telemetry.registry)
        for label in ["hb.requests", "hb.request.errors"] {
            CoreMetrics.Counter(label: label, dimensions: [], factory: factory).increment()
        }
        Meter(label: "http.server.active_requests", dimensions: [], factory: factory).increment()
        CoreMetrics.Timer(
            label: "http.server.request.duration", dimensions: [], factory: factory
        ).recordSeconds(1)
        let names = telemetry.registry.families.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(!names.contains { $0.hasPrefix("library_") })
    }
}
