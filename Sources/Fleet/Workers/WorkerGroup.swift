// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    package import Catalog
    import Engine
    package import Logging
    package import Service

    package import Foundation

    /// A gateway's own workers as workers of the fleet; follows the models of its pool as they are
    /// launched and terminated.
    package actor WorkerGroup {
        private struct Member {
            let worker: FleetWorker
            let replicas: Int
            let task: Task<Void, Never>
        }

        private let pool: WorkerPool
        private let store: FleetStore
        private let loraFolder: URL?
        private let controlNets: @Sendable (URL) -> ControlNetRegistry
        private let jobs: Int
        private let logger: Logger
        private var members: [String: Member] = [:]
        /// Members that were replaced or have lost their model, until their jobs are done.
        private var leaving: [Task<Void, Never>] = []
        private var follower: Task<Void, Never>?
        private var isEnding = false

        /// - Parameters:
        ///   - pool: The workers.
        ///   - store: The queue of the fleet.
        ///   - loraFolder: Folder of files that requests may name, beside those of the models.
        ///   - controlNets: Returns the ControlNets that requests for the model in a folder may name.
        ///   - jobs: Jobs of each worker at once.
        ///   - logger: Receives what happens to jobs.
        package init(
            _ pool: WorkerPool, store: FleetStore, loraFolder: URL?,
            controlNets: @escaping @Sendable (URL) -> ControlNetRegistry, jobs: Int,
            logger: Logger
        ) {
            self.pool = pool
            self.store = store
            self.loraFolder = loraFolder
            self.controlNets = controlNets
            self.jobs = jobs
            self.logger = logger
        }

        /// Begins to follow the pool's models, until `end`.
        package func start() {
            guard follower == nil, !isEnding else { return }
            follower = Task {
                while !Task.isCancelled {
                    let change = pool.changes.next
                    await update()
                    _ = await change.wait()
                }
            }
        }

        /// Gives each loaded model of the pool a member, and drains those whose model has changed.
        private func update() async {
            let (models, launched) = (await pool.models, await pool.launched)
            for (id, member) in members {
                let now = launched.first { $0.id == id && $0.isLoaded }
                guard now?.replicas != member.replicas else { continue }
                // It ends with its jobs; another one replaces it.
                members[id] = nil
                member.worker.drain()
                leaving.append(member.task)
            }
            for model in models where members[model.id] == nil && !isEnding {
                guard let place = launched.first(where: { $0.id == model.id }) else { continue }
                add(model, place.folder, place.replicas)
            }
        }

        private func add(_ model: ModelDescription, _ folder: URL, _ replicas: Int) {
            let engine = FleetEngine(
                model, of: pool, loras: LoRARegistry(folder: loraFolder, models: [folder]),
                controlNets: controlNets(folder), capacity: jobs * replicas)
            let worker = FleetWorker(engine: engine, store: store, logger: logger)
            let task = Task { [logger] in
                do {
                    try await worker.run(grace: .seconds(30))
                } catch {
                    logger.error("takes no jobs", metadata: ["error": "\(error)"])
                }
            }
            members[model.id] = Member(worker: worker, replicas: replicas, task: task)
        }

        /// Ends after the jobs that its workers have.
        package func end() async {
            isEnding = true
            follower?.cancel()
            await follower?.value
            for member in members.values { member.worker.drain() }
            for task in leaving + members.values.map(\.task) { await task.value }
            (leaving, members) = ([], [:])
        }
    }
#endif
