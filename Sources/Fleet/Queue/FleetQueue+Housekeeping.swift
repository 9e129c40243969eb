// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Service

    extension FleetQueue {
        @discardableResult
        package func cancel(_ id: String, for access: JobAccess) async -> Bool {
            guard let job = try? await find(id, for: access), !job.state.isFinal
            else { return false }
            return await end(job, nil, isOverdue: false)
        }

        private func end(_ job: FleetJob, _ failure: String?, isOverdue: Bool) async -> Bool {
            let store = store
            let outcome = try? await store.change(job.id, base: job) {
                $0.ended(.cancelled, failure, isOverdue: isOverdue, at: FleetStore.now)
            }
            guard let outcome, outcome.isChanged else { return false }
            try? store.connection.publish(FleetNames.cancel(job.id))
            return true
        }

        package func remove(_ id: String, for access: JobAccess) async throws -> Bool {
            guard let job = try await find(id, for: access), job.state.isFinal
            else { return false }
            let store = store
            index.remove(job.id)
            // Equal images share a file: one that another job has stays.
            let files = job.images.map(\.file.digest).filter { !index.uses(file: $0, for: .all) }
            try await reaching {
                try await store.jobs.remove(job.id)
                for file in files {
                    try await store.connection.purge(
                        "inkstone.pictures.\(file).*", in: FleetNames.images)
                }
            }
            return true
        }

        /// Ends overdue jobs and removes those that NATS no longer keeps.
        ///
        /// - Returns: How long nothing is due, and a promise that is set when something is due earlier.
        func cleanUp() async -> (wake: Promise<Void>, pause: Duration) {
            let wake = Promise<Void>()
            earlierDeadline = wake
            var isBehind = false
            for job in index.overdue(at: FleetStore.now) {
                let isEnded = await end(job, FleetJob.overdue, isOverdue: true)
                isBehind = isBehind || !isEnded
            }
            if settings.age > 0 { index.removeFinished(before: FleetStore.now - settings.age) }
            // A job that could not be ended is still due: it is tried again after a second.
            let shortest = isBehind ? 1 : 0.01
            let due = index.nextDue(keeping: settings.age).map {
                max(shortest, $0 - FleetStore.now)
            }
            return (wake, .seconds(min(due ?? 3600, 3600)))
        }
    }
#endif
