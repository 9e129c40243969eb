// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    package import Engine
    package import Parameters
    package import Service
    package import Telemetry
    import Synchronization

    /// The workers and models of a fleet as a gateway knows them by their heartbeats.
    package final class WorkerPresence: ModelListing, ModelReporting, MetricReporting {
        private let store: FleetStore
        private let gateway: String
        private let heartbeats: WorkerHeartbeats
        private let known: BucketCopy<ModelDescription>
        /// LoRA files that a worker offered within the hour.
        private let loras = Mutex<
            [String: (offer: LoRAScale, seen: ContinuousClock.Instant)]
        >([:])
        /// ControlNets that a worker offered within the hour.
        private let nets = Mutex<[String: ContinuousClock.Instant]>([:])
        private let counts = Mutex<@Sendable () async -> (queued: Int, running: Int)>({ (0, 0) })

        /// Follows the buckets for as long as this object exists.
        package init(_ store: FleetStore, gateway: String) {
            self.store = store
            self.gateway = gateway
            heartbeats = WorkerHeartbeats(store)
            known = BucketCopy(store.models)
        }

        /// Workers with a recent heartbeat, by name.
        package var workers: [WorkerHeartbeat] { heartbeats.all }

        /// Seconds of an evaluation of a model for each pixel that its fastest worker is expected to take.
        func secondsPerPixel(of model: String) -> Double? {
            workers.filter { $0.status.model?.id == model }
                .compactMap(\.status.secondsPerPixel).min()
        }

        /// LoRA files that requests may name; a worker that has one may be restarting.
        package var offers: [LoRAScale] {
            let (workers, now) = (workers, ContinuousClock.now)
            return loras.withLock { loras in
                for offer in workers.flatMap(\.loras) { loras[offer.name] = (offer, now) }
                // As long as models are known without a worker.
                loras = loras.filter { now - $0.value.seen < .seconds(3600) }
                return loras.values.map(\.offer)
            }
        }

        /// ControlNets that requests may name; a worker that has one may be restarting.
        package var controlNets: [String] {
            let (workers, now) = (workers, ContinuousClock.now)
            return nets.withLock { nets in
                for net in workers.flatMap({ $0.controlNets ?? [] }) { nets[net] = now }
                nets = nets.filter { now - $0.value < .seconds(3600) }
                return nets.keys.sorted()
            }
        }

        // MARK: - Models

        /// Models with a worker, and those that had one within the hour.
        package var models: [ModelDescription] {
            get async {
                let live = Set(workers.compactMap { $0.status.model?.id })
                return known.all.map(\.value).sorted { a, b in
                    let (first, second) = (live.contains(a.id), live.contains(b.id))
                    return first == second ? a.id < b.id : first
                }
            }
        }

        /// Models with their workers, wherever they run.
        package func report() async -> [ModelReport] {
            let workers = workers
            return await models.map { model in
                let own = workers.filter { $0.status.model?.id == model.id }
                return ModelReport(
                    id: model.id, model: model,
                    reservedBytes: own.reduce(0) { $0 + $1.status.memoryBytes },
                    replicas: own.map { worker in
                        ReplicaReport(
                            name: worker.name, address: "\(worker.host):\(worker.status.pid)",
                            pid: worker.status.pid, restarts: 0, requests: worker.jobs,
                            status: worker.status)
                    })
            }
        }

        // MARK: - Figures

        /// Sets the source of the numbers of jobs that wait and that a worker has.
        func setCounts(_ ask: @escaping @Sendable () async -> (queued: Int, running: Int)) {
            counts.withLock { $0 = ask }
        }

        /// Metrics of the fleet, with labels for this gateway and the workers.
        package func families() async -> [MetricFamily] {
            let workers = workers
            let (queued, running) = await counts.withLock { $0 }()
            let here = MetricFamily.Label("gateway", gateway)
            func family(
                _ name: String, _ help: String, _ kind: MetricFamily.Kind = .gauge,
                _ value: (WorkerHeartbeat) -> Double
            ) -> MetricFamily {
                MetricFamily(
                    "inkstone_fleet_worker_" + name, help, kind: kind,
                    samples: workers.map { worker in
                        .init(
                            [
                                here, .init("worker", worker.name), .init("host", worker.host),
                                .init("model", worker.status.model?.id ?? ""),
                            ], value(worker))
                    })
            }
            func single(_ name: String, _ help: String, _ value: Double) -> MetricFamily {
                MetricFamily(
                    "inkstone_fleet_" + name, help, kind: .gauge, samples: [.init([here], value)])
            }
            return [
                single("up", "1 while NATS can be reached.", store.connection.isUp ? 1 : 0),
                single(
                    "workers", "Workers with a recent heartbeat.", Double(workers.count)),
                single(
                    "jobs_queued", "Jobs of the fleet that no worker has begun.", Double(queued)),
                single("jobs_running", "Jobs of the fleet that a worker has.", Double(running)),
                family("jobs", "Jobs that the worker has.") { Double($0.jobs) },
                family("capacity", "Jobs that the worker may have at once.") {
                    Double($0.capacity)
                },
                family("jobs_finished_total", "Jobs that the worker finished.", .counter) {
                    Double($0.finished)
                },
                family("jobs_lost_total", "Jobs that the worker lost to another.", .counter) {
                    Double($0.lost)
                },
                family("passes_total", "Passes through the transformer.", .counter) {
                    Double($0.status.passes.count)
                },
                family("pass_seconds_total", "Seconds in these passes.", .counter) {
                    $0.status.passes.seconds
                },
                family("resident_memory_bytes", "Memory of the worker in bytes.") {
                    Double($0.status.memoryBytes)
                },
            ]
        }
    }
#endif
