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
            do {
                try await reaching { try await store.jobs.remove(job.id) }
            } catch {
                // The bucket still has it, and reports no change.
                if let known { update(known.job, known.revision) }
                throw error
            }
            // Equal images and sources share a file: one that another job has stays.
            let files = job.files.filter { !index.uses(file: $0.digest) }
            if !files.isEmpty { tasks.start { [weak self] in await self?.remove(files) } }
            return true
        }

        /// Removes files that no job has.
        ///
        /// A worker or a gateway stores a file first, and then the job that has it: a file is removed when it
        /// was not stored again for a while, after which its job would be known here.
        private func remove(_ files: [StoredFile]) async {
            var waiting = files
            // While NATS is away nothing is removed; the stream's limit of age applies.
            for _ in 0..<10 where !waiting.isEmpty {
                var messages: [String: [UInt64]] = [:]
                for file in waiting {
                    messages[file.digest] = try? await store.messages(of: file)
                }
                do { try await clock.sleep(for: .seconds(settings.removalDelay)) } catch { return }
                waiting.removeAll { index.uses(file: $0.digest) }
                var later: [StoredFile] = []
                for file in waiting {
                    let now = try? await store.messages(of: file)
                    guard let now, now == messages[file.digest],
                        (try? await store.remove(file, now)) != nil
                    else {
                        later.append(file)
                        continue
                    }
                }
                waiting = later
            }
        }

        /// Tests every few seconds whether NATS has space again while it has none; ends when the task is
        /// cancelled.
        static func watchSpace(_ store: FleetStore, _ clock: any Clock<Duration>) async {
            while !Task.isCancelled {
                let change = store.connection.spaceChanges.next
                if store.isFull {
                    try? await clock.sleep(for: .seconds(5))
                    await store.testSpace()
                } else {
                    _ = await change.wait()
                }
            }
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
