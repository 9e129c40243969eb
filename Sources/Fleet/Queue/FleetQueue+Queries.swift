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
            let images = try await find(id, for: access)?.images
            guard let image = images?.first(where: { $0.index == number }) else { return nil }
            return try await reaching { try await self.store.read(image.file) }
        }

        package nonisolated func source(of job: Job) async throws -> [UInt8]? {
            guard let source = job.source else { return nil }
            return try await reaching { try await self.store.read(named: source.image) }
        }

        package func file(named name: String, for access: JobAccess) async throws -> [UInt8]? {
            try requireCopy()
            guard index.uses(file: name, for: access) else { return nil }
            return try await reaching { try await self.store.read(named: name) }
        }

        /// An owner's jobs at other gateways; they are known here when they have been accepted there.
        package func elsewhere(_ owner: String) -> KeyUsage.Elsewhere {
            index.elsewhere(owner, at: FleetStore.now)
        }
    }
#endif
