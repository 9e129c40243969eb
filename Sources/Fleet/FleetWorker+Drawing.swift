// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Imaging
    import Logging
    import Service
    import Synchronization

    extension FleetWorker {
        /// Somebody has cancelled a job.
        func stop(_ id: String) {
            state.withLock { $0.held[id]?.task }?.cancel()
        }

        func work(_ job: FleetJob) async {
            let keeper = Task { await self.keepAlive(job) }
            let failure: (any Error)?
            do {
                try await draw(job)
                failure = nil
            } catch {
                failure = error
            }
            // What a cancelled task does is cancelled; a new one can tell.
            await Task { await self.conclude(job, failure) }.value
            keeper.cancel()
        }

        /// Says that work goes on for as long as it does, and notices when it is no longer wanted.
        private func keepAlive(_ job: FleetJob) async {
            var (pulse, moved) = (engine.pulse?(), ContinuousClock.now)
            while true {
                do { try await Task.sleep(for: .seconds(state.withLock { $0.window } / 3)) } catch {
                    return
                }
                let now = engine.pulse?()
                if now == nil || now != pulse { (pulse, moved) = (now, .now) }
                guard ContinuousClock.now - moved < .seconds(settings.hangTimeout) else {
                    logger.error("the engine stands still", metadata: ["job": "\(job.id)"])
                    return
                }
                state.withLock { $0.held[job.id]?.message }?.keepAlive()
                // The word to cancel may have been lost.
                if let now = try? await store.job(job.id)?.job,
                    now.state != .running || now.attempts != job.attempts
                {
                    stop(job.id)
                }
            }
        }

        private func draw(_ job: FleetJob) async throws {
            let done = job.leading
            guard done < job.request.count else { return }
            var request = job.request
            if job.source != nil {
                let source = try await persist { try await self.store.source(of: job) }
                request = request.with(source: source)
            }
            let courier = courier(for: job)
            courier.tell(.started)
            let events = engine.generator.events(
                for: request.dropping(first: done), model: model.id)
            for try await event in events.numbered(from: done) {
                switch event {
                case .queued, .started: break
                case .step, .preview: courier.tell(event)
                case .image(let image):
                    // The picture is told of by the bucket, and comes after its steps.
                    courier.flush()
                    try await keep(image, of: job, request)
                }
            }
        }

        /// Brings what happens to whoever listens; nobody waits for it.
        private func courier(for job: FleetJob) -> EventCourier {
            let (connection, subject) = (store.connection, FleetNames.events(job.id))
            let attempt = job.attempts
            return EventCourier { bytes, number in
                for part in EventParts.cut(
                    bytes, attempt: attempt, number: number, limit: NATSConnection.messageLimit)
                {
                    try? connection.publish(subject, part)
                }
            }
        }

        /// Stores a finished picture, and the job with it.
        private func keep(
            _ image: GeneratedImage, of job: FleetJob, _ request: ImageRequest
        ) async throws {
            let png = try image.file(of: request, model: model)
            let before = state.withLock { $0.held[job.id]?.known }
            let outcome = try await persist {
                let file = try await self.store.keep(png)
                let picture = FleetJob.Picture(
                    index: image.index, seed: image.seed, pixelDigest: image.pixelDigest,
                    file: file, promptTruncated: image.promptTruncated, seconds: image.seconds,
                    loras: image.loras)
                return try await self.store.change(job.id, known: before) {
                    $0.adding(picture, attempt: job.attempts, at: FleetStore.now)
                }
            }
            guard let known = outcome?.now else { throw Superseded() }
            state.withLock { $0.held[job.id]?.known = known }
            let isKept = known.job.pictures.contains { $0.index == image.index }
            guard isKept, known.job.attempts == job.attempts else { throw Superseded() }
        }

        /// Another worker has the job now, or nobody wants it any longer.
        private struct Superseded: Error {}

        /// What becomes of the message of a job that this worker has no longer.
        private enum Answer {
            /// The job is final.
            case done
            /// Another worker should try.
            case again
            /// Another one has it, and answers for it.
            case none
        }

        /// Answers for the message of a job that is over for this worker.
        private func conclude(_ job: FleetJob, _ failure: (any Error)?) async {
            let answer = await answer(for: job, failure)
            let message = state.withLock { state in
                // When the worker is drained, the rest is given back together.
                if answer == .none, state.isDraining { return nil as NATSMessage? }
                if failure == nil { state.finished += 1 }
                return state.held.removeValue(forKey: job.id)?.message
            }
            switch answer {
            case .done: message?.acknowledge()
            case .again: message?.giveBack(after: 500)
            case .none: break
            }
        }

        private func answer(for job: FleetJob, _ failure: (any Error)?) async -> Answer {
            switch failure {
            case nil: return .done
            case is Superseded, is CancellationError:
                // Whoever cancelled it has written so; or it is given back when this worker ends.
                let known = try? await persist { try await self.store.job(job.id)?.job }
                if known.flatMap({ $0 })?.state.isFinal == true { return .done }
                if !isDraining { state.withLock { $0.lost += 1 } }
                return .none
            case let error as GenerationError where [.notLoaded, .busy].contains(error.code):
                // The gateway's own workers went, or have enough: no fault of the job.
                _ = try? await persist {
                    try await self.store.change(job.id) { $0.givenBack(attempt: job.attempts) }
                }
                return .again
            case let error as GenerationError where error.code == .workerLost:
                // The next one who takes it counts a further attempt, or gives it up.
                return .again
            case .some(let error):
                _ = try? await persist {
                    try await self.store.change(job.id) { known in
                        known.attempts == job.attempts
                            ? known.ended(.failed, "\(error)", at: FleetStore.now) : nil
                    }
                }
                return .done
            }
        }
    }
#endif
