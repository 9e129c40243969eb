// Part of Inkstone. Licence: see LICENSE.

package import Engine
public import Telemetry
package import ZImage

/// Everything that a service publishes about itself.
public final class ServiceTelemetry: Sendable {
    /// Every metric.
    package let registry: MetricRegistry
    /// What the engine does.
    package let engine: EngineMetrics
    /// What clients see.
    package let http: HTTPMetrics
    /// Where requests are logged, beside the program's own log.
    package let accessLog: AccessLog?

    /// The telemetry of a program of this version.
    public init(version: String, accessLog: AccessLog? = nil) {
        registry = MetricRegistry()
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

    /// Publishes the state of a loaded engine as long as the program runs.
    package func watch(_ engine: InferenceEngine) {
        watch(promptCache: { engine.promptCacheInfo })
        registry.collect {
            let (running, waiting) = engine.load
            return [
                MetricFamily(
                    "inkstone_engine_requests",
                    "Requests that the engine holds, cancelled ones until their step ends.",
                    kind: .gauge,
                    samples: [
                        .init([.init("state", "running")], Double(running)),
                        .init([.init("state", "waiting")], Double(waiting)),
                    ])
            ]
        }
    }

    /// Publishes what a prompt cache does.
    package func watch(promptCache info: @escaping @Sendable () -> PromptCacheInfo?) {
        registry.collect { Self.families(of: info()) }
    }

    private static func families(of info: PromptCacheInfo?) -> [MetricFamily] {
        guard let info else { return [] }
        func family(
            _ name: String, _ help: String, _ kind: MetricFamily.Kind, _ value: Int
        ) -> MetricFamily {
            MetricFamily(
                "inkstone_cache_" + name, help, kind: kind,
                samples: [.init([.init("cache", "prompt")], Double(value))])
        }
        return [
            MetricFamily(
                "inkstone_cache_info",
                "A cache that makes repeated requests faster, and what is kept in it; always 1.",
                kind: .gauge,
                samples: [
                    .init([.init("cache", "prompt"), .init("keeps", "prompt captions")], 1)
                ]),
            family("hits_total", "Entries that were found.", .counter, info.hits),
            family("misses_total", "Entries that had to be made.", .counter, info.misses),
            family("evictions_total", "Entries that made room.", .counter, info.evictions),
            family("entries", "Entries that are kept.", .gauge, info.entries),
            family("bytes", "Memory of the entries, in bytes.", .gauge, info.bytes),
            family("capacity_bytes", "Memory they may take, in bytes.", .gauge, info.capacity),
        ]
    }
}
