// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    package import Logging
    package import Service

    package import Foundation

    /// A gateway's own workers as workers of the fleet: whatever models its pool has, when they come and
    /// go.
    package actor FleetCrew {
        private struct Member {
            let worker: FleetWorker
            let replicas: Int
            let task: Task<Void, Never>
        }

        private let pool: WorkerPool
        private let store: FleetStore
        private let loraFolder: URL?
        private let jobs: Int
        private let logger: Logger
        private var members: [String: Member] = [:]
        /// Those whose place another one has, until they have done their jobs.
        private var leaving: [Task<Void, Never>] = []
        private var isEnding = false

        /// - Parameters:
        ///   - pool: the workers.
        ///   - store: where jobs are.
        ///   - loraFolder: files that requests may name, beside those of the models.
        ///   - jobs: of each worker at once.
        ///   - logger: told what happens to jobs.
        package init(
            _ pool: WorkerPool, store: FleetStore, loraFolder: URL?, jobs: Int, logger: Logger
        ) {
            self.pool = pool
            self.store = store
            self.loraFolder = loraFolder
            self.jobs = jobs
            self.logger = logger
        }

        /// Follows the pool's models until `end`.
        package func run() async {
            while !isEnding {
                let (models, launched) = (await pool.models, await pool.launched)
                for (id, member) in members {
                    let now = launched.first { $0.id == id && $0.isLoaded }
                    guard now?.replicas != member.replicas else { continue }
                    // It ends with its jobs; another one takes its place.
                    members[id] = nil
                    member.worker.drain()
                    leaving.append(member.task)
                }
                for model in models where members[model.id] == nil && !isEnding {
                    guard let place = launched.first(where: { $0.id == model.id }) else { continue }
                    begin(model, place.folder, place.replicas)
                }
                try? await Task.sleep(for: .milliseconds(250))
            }
        }

        private func begin(_ model: ModelDescription, _ folder: URL, _ replicas: Int) {
            let engine = FleetEngine(
                model, of: pool, loras: LoRARegistry(folder: loraFolder, models: [folder]),
                capacity: jobs * replicas)
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
            for member in members.values { member.worker.drain() }
            for task in leaving + members.values.map(\.task) { await task.value }
            (leaving, members) = ([], [:])
        }
    }
#endif
