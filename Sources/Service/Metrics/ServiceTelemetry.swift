// Part of Inkstone. Licence: see LICENSE.

public import Telemetry

/// Metrics and access log of a service.
public final class ServiceTelemetry: Sendable {
    /// Every metric.
    package let registry: MetricRegistry
    /// Metrics of the engine.
    package let engine: EngineMetrics
    /// Metrics that libraries record through swift-metrics, exported with those of the registry.
    private let libraries: LibraryMetrics
    /// Metrics of requests.
    package let http: HTTPMetrics
    /// Where requests are logged, beside the program's own log.
    package let accessLog: AccessLog?

    /// The telemetry of a program of this version.
    public init(version: String, accessLog: AccessLog? = nil) {
        registry = MetricRegistry()
        libraries = LibraryMetrics(registry)
        self.accessLog = accessLog
        registry.gauge(
            "inkstone_build_info", "The program; always 1.", labels: ["version"]
        ).set(1, version)
        engine = EngineMetrics(registry)
        http = HTTPMetrics(registry)
        registry.collect(ProcessMetrics.families)
        if let accessLog {
            registry.collect {
                [
                    MetricFamily(
                        "inkstone_access_log_lost_lines_total",
                        "Lines of the access log that could not be written.", kind: .counter,
                        samples: [.init([], Double(accessLog.lostLines))])
                ]
            }
        }
    }

    /// Exports the metrics of libraries in this process here; the first call of a process counts.
    public func exportLibraryMetrics() { libraries.install() }
}
