// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Imaging
    import Logging
    import Service
    import Synchronization

    extension FleetWorker {
        /// Cancels the run of a job.
        func cancel(_ id: String) {
            state.withLock { $0.held[id]?.task }?.cancel()
        }

        /// Runs a job to its end and answers for its message.
        func run(_ job: FleetJob) async {
            let keeper = Task { await self.keepAlive(job) }
            let failure: (any Error)?
            do {
                try await generate(job)
                failure = nil
            } catch {
                failure = error
            }
            await withoutCancellation { await self.finish(job, failure) }
            keeper.cancel()
        }

        /// Extends the message's deadline while the engine moves, and cancels a job that has ended elsewhere.
        private func keepAlive(_ job: FleetJob) async {
            var (heartbeat, moved) = (engine.heartbeat?(), ContinuousClock.now)
            while true {
                do { try await clock.sleep(for: .seconds(state.withLock { $0.window } / 3)) } catch
                {
                    return
                }
                let now = engine.heartbeat?()
                if now == nil || now != heartbeat { (heartbeat, moved) = (now, .now) }
                guard ContinuousClock.now - moved < .seconds(settings.hangTimeout) else {
                    logger.error("the engine stands still", metadata: ["job": "\(job.id)"])
                    return
                }
                state.withLock { $0.held[job.id]?.message }?.extendDeadline()
                // The message that cancels it may have been lost.
                if let now = try? await store.job(job.id)?.job,
                    now.state != .running || now.attempts != job.attempts
                {
                    cancel(job.id)
                }
            }
        }

        private func generate(_ job: FleetJob) async throws {
            let done = job.leading
            guard done < job.request.count else { return }
            var request = job.request
            if job.source != nil {
                let source = try await persist { try await self.store.source(of: job) }
                request = request.with(source: source)
            }
            if job.controls != nil {
                let controls = try await persist { try await self.store.controls(of: job) }
                request = try request.with(controls: controls)
            }
            let publisher = publisher(for: job)
            publisher.publish(.started)
            let events = engine.generator.events(
                for: request.dropping(first: done), model: model.id)
            for try await event in events.numbered(from: done) {
                switch event {
                case .queued, .started: break
                case .step, .preview: publisher.publish(event)
                case .image(let image):
                    // The bucket reports the image, which follows its steps.
                    publisher.flush()
                    try await store(image, of: job, request)
                }
            }
            let missing = state.withLock { $0.held[job.id]?.known.job.state.isFinal } == false
            guard !missing else {
                throw GenerationError(
                    .internalFailure, "The engine ended before it had generated all images.")
            }
        }

        /// Publishes the events of a job to the gateways that listen.
        private func publisher(for job: FleetJob) -> EventPublisher {
            let (connection, subject) = (store.connection, FleetNames.events(job.id))
            let attempt = job.attempts
            return EventPublisher(clock: clock) { bytes, number in
                for part in EventParts.cut(
                    bytes, attempt: attempt, number: number, limit: NATSConnection.messageLimit)
                {
                    try? connection.publish(subject, part)
                }
            }
        }

        /// Stores a finished image, and the job with it.
        private func store(
            _ image: GeneratedImage, of job: FleetJob, _ request: ImageRequest
        ) async throws {
            let png = try image.file(of: request, model: model)
            let before = state.withLock { $0.held[job.id]?.known }
            let outcome = try await persist {
                let file = try await self.store.store(png)
                let stored = FleetJob.Image(
                    index: image.index, seed: image.seed, pixelDigest: image.pixelDigest,
                    file: file, promptTruncated: image.promptTruncated, seconds: image.seconds,
                    loras: image.loras, origin: image.origin)
                return try await self.store.change(job.id, known: before) {
                    $0.adding(stored, attempt: job.attempts, at: FleetStore.now)
                }
            }
            guard let known = outcome?.now else { throw Superseded() }
            state.withLock { $0.held[job.id]?.known = known }
            let isKept = known.job.images.contains { $0.index == image.index }
            guard isKept, known.job.attempts == job.attempts else { throw Superseded() }
        }

        /// Another worker has the job now, or it has ended.
        private struct Superseded: Error {}

        /// The answer to the message of a job that has ended for this worker.
        private enum Answer {
            /// The job is final.
            case done
            /// Another worker should try.
            case again
            /// Another worker has the job and answers its message.
            case none
        }

        /// Answers the message of a job that has ended for this worker.
        private func finish(_ job: FleetJob, _ failure: (any Error)?) async {
            let answer = await answer(for: job, failure)
            let message = changeState { state in
                // A worker that is drained returns the rest of its jobs together.
                if answer == .none, state.isDraining { return nil as NATSMessage? }
                if failure == nil { state.finished += 1 }
                return state.held.removeValue(forKey: job.id)?.message
            }
            switch answer {
            case .done: message?.acknowledge()
            case .again: message?.returnToQueue(after: 500)
            case .none: break
            }
        }

        private func answer(for job: FleetJob, _ failure: (any Error)?) async -> Answer {
            switch failure {
            case nil: return .done
            case is Superseded, is CancellationError:
                // The cancellation is in the bucket; else the job is returned when this worker ends.
                let known = try? await persist { try await self.store.job(job.id)?.job }
                if known.flatMap({ $0 })?.state.isFinal == true { return .done }
                if !isDraining { state.withLock { $0.lost += 1 } }
                return .none
            case let error as GenerationError where [.notLoaded, .busy].contains(error.code):
                // The gateway's own workers have ended, or are busy: not a failed attempt.
                _ = try? await persist {
                    try await self.store.change(job.id) { $0.returned(attempt: job.attempts) }
                }
                return .again
            case let error as GenerationError where error.code == .workerLost:
                // The next worker counts a further attempt, or gives the job up.
                return .again
            case .some(let error):
                let end = JobEnd(.failure(error))
                do {
                    _ = try await persist {
                        try await self.store.change(job.id) { known in
                            known.attempts == job.attempts ? known.ended(end) : nil
                        }
                    }
                    return .done
                } catch {
                    // Nothing else would end the job: its message comes again.
                    logger.error(
                        "the end of a job is not written", metadata: ["job": "\(job.id)"])
                    return .again
                }
            }
        }
    }
#endif
