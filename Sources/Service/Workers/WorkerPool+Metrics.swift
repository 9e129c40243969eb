// Part of Inkstone. Licence: see LICENSE.

import Engine
package import Telemetry
import ZImage

/// A source of metrics that are read on demand.
package protocol MetricReporting: Sendable {
    /// The metrics now.
    func families() async -> [MetricFamily]
}

extension WorkerPool: MetricReporting {
    /// Counts the passes of the workers since the last call.
    func countPasses() async { await countPasses(of: served) }

    /// Counts the passes of some models, also of models that are being terminated.
    func countPasses(of models: [Served]) async {
        guard let metrics else { return }
        let earlier = lastCount
        let count = Task {
            // Passes that an earlier call has received and not counted yet would be missing.
            await earlier?.value
            for entry in models {
                for replica in entry.replicas {
                    let (passes, device) = await replica.uncountedPasses()
                    for pass in passes { metrics.count(pass, model: entry.id, device: device) }
                }
            }
        }
        lastCount = count
        await count.value
    }

    /// Metrics of the workers; the passes are counted up to this moment.
    package func families() async -> [MetricFamily] {
        await countPasses()
        return Self.families(of: await report())
    }

    private static func families(of reports: [ModelReport]) -> [MetricFamily] {
        let workers = reports.flatMap { report in report.replicas.map { (report.id, $0) } }
        func family(
            _ name: String, _ help: String, _ kind: MetricFamily.Kind = .gauge,
            ofDevice: Bool = false, _ value: (ReplicaReport) -> Double?
        ) -> MetricFamily {
            MetricFamily(
                "inkstone_worker_" + name, help, kind: kind,
                samples: workers.compactMap { model, worker in
                    value(worker).map { .init(labels(model, worker, ofDevice: ofDevice), $0) }
                })
        }
        return [
            family("up", "1 while the worker answers and its model is loaded.") {
                $0.status?.state == .ready ? 1 : 0
            },
            family("restarts_total", "Workers that died and were replaced.", .counter) {
                Double($0.restarts)
            },
            family("resident_memory_bytes", "Memory of the worker, mapped weights included.") {
                $0.status.map { Double($0.memoryBytes) }
            },
            family(
                "device_memory_bytes", "Memory of the worker's GPU that it may use.", ofDevice: true
            ) {
                ($0.status?.deviceMemory).map { Double($0.totalBytes) }
            },
            family("device_memory_available_bytes", "What of it is free.", ofDevice: true) {
                ($0.status?.deviceMemory).map { Double($0.availableBytes) }
            },
            MetricFamily(
                "inkstone_worker_info", "A worker and what it computes with; always 1.",
                kind: .gauge,
                samples: workers.compactMap { model, worker in
                    guard let kernels = worker.status?.model?.kernels else { return nil }
                    return .init(
                        labels(model, worker, ofDevice: true) + [.init("kernels", kernels)], 1)
                }),
            MetricFamily(
                "inkstone_engine_requests",
                "Requests that an engine holds, cancelled ones until their step ends.",
                kind: .gauge,
                samples: workers.flatMap { model, worker -> [MetricFamily.Sample] in
                    guard let status = worker.status else { return [] }
                    let labels = labels(model, worker)
                    return [
                        .init(labels + [.init("state", "running")], Double(status.running)),
                        .init(labels + [.init("state", "waiting")], Double(status.waiting)),
                    ]
                }),
        ] + cacheFamilies(of: workers)
    }

    private static func cacheFamilies(
        of workers: [(String, ReplicaReport)]
    ) -> [MetricFamily] {
        func family(
            _ name: String, _ help: String, _ kind: MetricFamily.Kind,
            keeps: String? = nil, _ value: (PromptCacheInfo) -> Int
        ) -> MetricFamily {
            MetricFamily(
                "inkstone_cache_" + name, help, kind: kind,
                samples: workers.compactMap { model, worker in
                    guard let info = worker.status?.promptCache else { return nil }
                    return .init(
                        [.init("cache", "prompt")] + (keeps.map { [.init("keeps", $0)] } ?? [])
                            + labels(model, worker), Double(value(info)))
                })
        }
        return [
            family(
                "info",
                "A cache that makes repeated requests faster, and what is kept in it; always 1.",
                .gauge, keeps: "prompt captions"
            ) { _ in 1 },
            family("hits_total", "Entries that were found.", .counter, \.hits),
            family("misses_total", "Entries that had to be made.", .counter, \.misses),
            family("evictions_total", "Entries that made room.", .counter, \.evictions),
            family("entries", "Entries that are kept.", .gauge, \.entries),
            family("bytes", "Memory of the entries, in bytes.", .gauge, \.bytes),
            family("capacity_bytes", "Memory they may take, in bytes.", .gauge, \.capacity),
        ].filter { !$0.samples.isEmpty }
    }

    private static func labels(
        _ model: String, _ worker: ReplicaReport, ofDevice: Bool = false
    ) -> [MetricFamily.Label] {
        let labels: [MetricFamily.Label] = [.init("model", model), .init("worker", worker.name)]
        guard ofDevice, let device = worker.status?.device else { return labels }
        return labels + [.init("device", device)]
    }
}
