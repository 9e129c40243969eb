// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    package import Service

    extension FleetQueue {
        package func progress(_ id: String, for access: JobAccess) async -> JobProgress? {
            guard let job = try? await find(id, for: access), !job.state.isFinal
            else { return nil }
            return follow(job, isDetached: true, isCounted: false).live.progress
        }

        package func unfinished(
            for access: JobAccess
        ) -> [(id: String, progress: JobProgress)] {
            let running = index.running
            return (running + index.waiting).enumerated().compactMap { place, job in
                guard access.permits(job.owner) else { return nil }
                if let known = followed[job.id] { return (job.id, known.live.progress) }
                let live = LiveJob(job.job(), earlier: [], isDetached: true)
                live.publish(
                    job.state == .queued ? .queued(position: place - running.count) : .started)
                return (job.id, live.progress)
            }
        }

        package func job(
            _ id: String, for access: JobAccess
        ) async throws -> (job: Job, progress: JobProgress?)? {
            guard let job = try await find(id, for: access) else { return nil }
            let progress =
                job.state.isFinal
                ? nil : follow(job, isDetached: true, isCounted: false).live.progress
            return (job.job(), progress)
        }

        package func jobs(_ query: JobQuery) async throws -> [Job] {
            try requireCopy()
            return index.jobs(query).map { $0.job() }
        }

        package func image(
            _ number: Int, of id: String, for access: JobAccess
        ) async throws -> [UInt8]? {
            guard var job = try await find(id, for: access) else { return nil }
            func image() -> FleetJob.Image? { job.images.first { $0.index == number } }
            if image() == nil, !job.state.isFinal {
                // Another gateway may have heard of the image before this one's copy of the bucket did.
                let id = job.id
                guard let now = try await reaching({ try await self.store.job(id) })
                else { return nil }
                update(now.job, now.revision)
                job = now.job
            }
            guard let file = image()?.file else { return nil }
            return try await reaching { try await self.store.read(file) }
        }

        package nonisolated func source(of job: Job) async throws -> [UInt8]? {
            guard let source = job.source else { return nil }
            return try await reaching { try await self.store.read(named: source.image) }
        }

        /// An owner's jobs at other gateways; they are known here when they have been accepted there.
        package func elsewhere(_ owner: String) -> KeyUsage.Elsewhere {
            index.elsewhere(owner, at: FleetStore.now)
        }
    }
#endif
