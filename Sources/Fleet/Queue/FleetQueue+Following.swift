// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    package import Engine
    import Imaging
    import Logging
    package import Service

    extension FleetQueue {
        /// Listens to the events of a job until it is final.
        ///
        /// - Parameters:
        ///   - job: The job as it is now.
        ///   - isDetached: Whether it continues without watchers.
        ///   - isCounted: Whether this gateway counts its events.
        /// - Returns: The job as it is followed.
        @discardableResult
        func follow(_ job: FleetJob, isDetached: Bool, isCounted: Bool) -> FollowedJob {
            if let known = followed[job.id] { return known }
            if let seconds = presence.secondsPerPixel(of: job.model) {
                meter.expect(secondsPerPixel: seconds, of: job.model)
            }
            let new = FollowedJob(
                job, isDetached: isDetached,
                meter: isCounted ? meter.begin(job.request, model: job.model) : nil)
            followed[job.id] = new
            if isStopping { new.live.disconnect(JobService.stopped) }
            do {
                new.listen(
                    try store.connection.subscribe(FleetNames.events(job.id)) {
                        [weak new] _, message in new?.receive(message)
                    })
            } catch {
                logger.warning("progress cannot be followed", metadata: ["job": "\(job.id)"])
            }
            if job.state == .queued { new.publish(.queued(position: index.place(of: job))) }
            new.update(job)
            new.attach(Task { await self.deliver(new) })
            return new
        }

        /// Publishes what the bucket reports of a job until it is final.
        private nonisolated func deliver(_ job: FollowedJob) async {
            var delivered: Set<Int> = []
            for await update in job.updates {
                if update.state != .queued, update.attempts > 0 { job.publish(.started) }
                var isIncomplete = false
                for image in update.images where delivered.insert(image.index).inserted {
                    if let image = await read(image) {
                        job.publish(.image(image))
                    } else {
                        isIncomplete = true
                    }
                }
                guard update.state.isFinal else { continue }
                job.end(
                    isIncomplete
                        ? .failure(
                            GenerationError(.storage, "An image of the job is no longer kept."))
                        : Self.outcome(of: update))
                break
            }
            await remove(job)
        }

        private func remove(_ job: FollowedJob) {
            if followed[job.live.id] === job { followed[job.live.id] = nil }
        }

        private static func outcome(of job: FleetJob) -> Result<Void, any Error> {
            job.job().error.map { .failure($0) } ?? .success(())
        }

        /// A finished image with its pixels, or `nil` if it is no longer kept; waits while NATS is away.
        private nonisolated func read(_ image: FleetJob.Image) async -> GeneratedImage? {
            var policy = RetryPolicy(pause: .milliseconds(50), limit: .seconds(600))
            policy.growth = .milliseconds(50)
            policy.clock = clock
            return try? await policy.run(while: { !($0 is ImagingError) }) {
                guard let png = try await store.read(image.file) else { return nil }
                var generated = GeneratedImage(
                    index: image.index, seed: image.seed,
                    image: try ImageDecoder.decode(png).flattened(),
                    pixelDigest: image.pixelDigest,
                    promptTruncated: image.promptTruncated, seconds: image.seconds)
                generated.loras = image.loras
                generated.origin = image.origin
                generated.png = png
                return generated
            }
        }

        package func watch(
            _ id: String, for access: JobAccess
        ) async throws -> JobEventStream? {
            guard let job = try await find(id, for: access) else { return nil }
            return watch(
                followed[job.id] ?? follow(job, isDetached: true, isCounted: false))
        }

        private func watch(_ job: FollowedJob) -> JobEventStream {
            job.live.watch { [canceller, id = job.live.id] in canceller.add(id) }
        }
    }
#endif
