// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Logging
    package import Service

    extension FleetQueue {
        @discardableResult
        package func cancel(_ id: String, for access: JobAccess) async -> Bool {
            guard let job = try? await find(id, for: access), !job.state.isFinal
            else { return false }
            do {
                return try await store.end(job, JobEnd(.cancelled))
            } catch is NATSError {
                endLater(job, JobEnd(.cancelled))
                return true
            } catch {
                return false
            }
        }

        /// Ends a job as soon as NATS can be reached.
        func endLater(_ job: FleetJob, _ end: JobEnd) {
            guard ending.insert(job.id).inserted else { return }
            var policy = RetryPolicy.untilDone
            policy.clock = clock
            logger.warning("the end of a job is not written yet", metadata: ["job": "\(job.id)"])
            tasks.start { [store, policy, weak self] in
                _ = try? await policy.run(while: { $0 is NATSError }) {
                    try await store.end(job, end)
                }
                await self?.removeEnding(job.id)
            }
        }

        private func removeEnding(_ id: String) { ending.remove(id) }

        package func stop() async {
            isStopping = true
            let jobs = followed.values.map(\.live)
            for job in jobs { job.disconnect(JobService.stopped) }
            // No other gateway waits for these.
            let waiting = jobs.filter { !$0.isDetached }.compactMap { index[$0.id]?.job }
            let done = Promise<Void>()
            tasks.start { [store] in
                await withTaskGroup(of: Void.self) { group in
                    for job in waiting {
                        group.addTask {
                            _ = try? await store.end(job, JobEnd(.failure(JobService.stopped)))
                        }
                    }
                }
                done.fulfil(())
            }
            if await done.wait(atMost: .seconds(2), clock: clock) == nil {
                logger.error("jobs whose callers are gone continue: NATS cannot be reached")
            }
        }

        package func remove(_ id: String, for access: JobAccess) async throws -> Bool {
            guard let job = try await find(id, for: access), job.state.isFinal
            else { return false }
            let store = store
            let known = index[job.id]
            index.remove(job.id)
            // Equal images share a file: one that another job has stays.
            let files = job.images.map(\.file.digest).filter { !index.uses(file: $0, for: .all) }
            do {
                try await reaching {
                    try await store.jobs.remove(job.id)
                    for file in files {
                        try await store.connection.purge(
                            "inkstone.pictures.\(file).*", in: FleetNames.images)
                    }
                }
            } catch {
                // The bucket still has it, and reports no change.
                if let known { update(known.job, known.revision) }
                throw error
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
                let isEnded = try? await store.end(job, FleetJob.overdue)
                isBehind = isBehind || isEnded != true
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
