// Part of Inkstone. Licence: see LICENSE.

import Telemetry
import Testing

@Suite struct MetricsTests {
    private func text(
        _ registry: MetricRegistry, as format: MetricsText.Format = .prometheus
    ) -> String {
        MetricsText.render(registry.families, as: format)
    }

    @Test("counters, gauges and histograms are read back as they were written")
    func roundTrip() throws {
        let registry = MetricRegistry()
        let counter = registry.counter("a_total", "Things.", labels: ["kind"])
        counter.add(2, "x")
        counter.add(0.5, "x")
        counter.show("y")
        let gauge = registry.gauge("b", "Level.")
        gauge.set(7)
        gauge.add(-9)
        let histogram = registry.histogram("c_seconds", "Times.", buckets: [0.1, 1])
        for value in [0.05, 0.1, 0.5, 3] { histogram.observe(value) }
        let read = try PrometheusText(text(registry))
        #expect(read.kinds == ["a_total": "counter", "b": "gauge", "c_seconds": "histogram"])
        #expect(read.helps["a_total"] == "Things.")
        #expect(read.value("a_total", ["kind": "x"]) == 2.5)
        #expect(read.value("a_total", ["kind": "y"]) == 0)
        #expect(read.value("b") == -2)
        #expect(read.value("c_seconds_bucket", ["le": "0.1"]) == 2, "a bound belongs to its bucket")
        #expect(read.value("c_seconds_bucket", ["le": "1.0"]) == 3)
        #expect(read.value("c_seconds_bucket", ["le": "+Inf"]) == 4)
        #expect(read.value("c_seconds_count") == 4)
        #expect(read.value("c_seconds_sum") == 0.05 + 0.1 + 0.5 + 3)
    }

    @Test("any text may be a label's value")
    func escaping() throws {
        let values = ["", "a\"b", "back\\slash", "two\nlines", "\\n", "名", "}{,="]
        let registry = MetricRegistry()
        let gauge = registry.gauge("g", "A \\ and\na line.", labels: ["v"])
        for (index, value) in values.enumerated() { gauge.set(Double(index), value) }
        let text = text(registry)
        #expect(text.contains("# HELP g A \\\\ and\\na line.\n"))
        let read = try PrometheusText(text)
        for (index, value) in values.enumerated() {
            #expect(read.value("g", ["v": value]) == Double(index), "\(value)")
        }
    }

    @Test("labels of all samples stand before their own, and never twice")
    func addedLabels() {
        let family = MetricFamily(
            "m", "h", kind: .gauge,
            samples: [.init([.init("a", "1")], 1), .init([.init("gateway", "own")], 2)])
        let added = family.adding([.init("gateway", "g")])
        #expect(added.samples[0].labels == [.init("gateway", "g"), .init("a", "1")])
        #expect(added.samples[1] == family.samples[1])
        #expect(family.adding([]) == family)
    }

    @Test("what is no number never gets in")
    func notANumber() throws {
        let registry = MetricRegistry()
        let counter = registry.counter("a_total", "")
        let gauge = registry.gauge("b", "")
        let histogram = registry.histogram("c", "", buckets: [1])
        for value in [Double.nan, .infinity, -.infinity] {
            counter.add(value)
            gauge.set(value)
            gauge.add(value)
            histogram.observe(value)
        }
        counter.add(-1)
        #expect(counter.value() == 0 && gauge.value() == 0 && histogram.count() == 0)
        #expect(!text(registry).contains("nan") && !text(registry).contains("NaN"))
    }

    @Test("OpenMetrics names counters without their ending and says where it ends")
    func openMetrics() {
        let registry = MetricRegistry()
        registry.counter("a_total", "Say \"a\".").add()
        #expect(
            text(registry, as: .openMetrics)
                == "# HELP a Say \\\"a\\\".\n# TYPE a counter\na_total 1.0\n# EOF\n")
        #expect(
            text(registry) == "# HELP a_total Say \"a\".\n# TYPE a_total counter\na_total 1.0\n")
    }

    @Test(
        "OpenMetrics is for those that ask for it",
        arguments: [
            (nil, false), ("*/*", false), ("text/plain;version=0.0.4", false),
            ("application/openmetrics-text", true),
            ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", true),
            ("text/plain, application/openmetrics-text; q=0", false),
            ("text/plain;q=0.5, Application/OpenMetrics-Text;q=0.9", true),
        ] as [(String?, Bool)])
    func negotiation(accept: String?, isOpen: Bool) {
        let format = MetricsText.Format(accept: accept)
        #expect(format.contentType.hasPrefix("application/openmetrics-text") == isOpen)
    }

    @Test("no observation is lost among threads", .timeLimit(.minutes(5)))
    func threads() async {
        let registry = MetricRegistry()
        let histogram = registry.histogram("h", "", buckets: [2, 4], labels: ["t"])
        let counter = registry.counter("c_total", "")
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for value in 0..<500 {
                        histogram.observe(Double(value % 5), "\(task % 2)")
                        counter.add()
                    }
                }
            }
        }
        #expect(counter.value() == 4000)
        for label in ["0", "1"] {
            #expect(histogram.count(label) == 2000)
            #expect(histogram.sum(label) == 4000)
        }
    }

    @Test("resources of the process are exported under the usual names")
    func process() throws {
        let registry = MetricRegistry()
        registry.collect(ProcessMetrics.families)
        let read = try PrometheusText(text(registry))
        #expect(try #require(read.value("process_cpu_seconds_total")) > 0)
        #expect(try #require(read.value("process_start_time_seconds")) > 1.7e9)
        #if os(Linux)
            #expect(try #require(read.value("process_resident_memory_bytes")) > 1e6)
            #expect(try #require(read.value("process_virtual_memory_bytes")) > 1e6)
            #expect(try #require(read.value("process_open_fds")) >= 3)
            #expect(try #require(read.value("process_max_fds")) >= 3)
        #endif
    }
}
