// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Basics
    package import Engine
    import Imaging
    import Parameters
    package import Service
    import Foundation

    extension FleetQueue {
        package func submit(
            _ request: ImageRequest, model: String, _ submission: Submission,
            onEnd: @escaping @Sendable () -> Void
        ) async throws -> Job {
            do {
                let job = try await accept(request, model, submission)
                if let live = followed[job.id]?.live { live.whenEnded(onEnd) } else { onEnd() }
                return job.job()
            } catch {
                onEnd()
                throw error
            }
        }

        private func accept(
            _ request: ImageRequest, _ model: String, _ submission: Submission
        ) async throws -> FleetJob {
            guard isReachable else { throw Self.unreachable }
            guard !isStorageFull else { throw Self.full }
            guard index.openCount < settings.unfinished else {
                throw GenerationError(
                    .busy,
                    "\(settings.unfinished) jobs are waiting already; try again in a moment.")
            }
            let now = FleetStore.now
            var job = FleetJob(
                id: JobStore.newID(), model: model,
                request: try request.with(source: nil).withoutControlFiles(),
                requestID: submission.requestID, owner: submission.owner, created: now)
            job.gateway = gateway
            job.deadline = submission.seconds(atMost: settings.seconds).map { now + $0 }
            if let key = submission.idempotencyKey {
                let (id, known) = try await claim(key, submission, job.id)
                job.id = id
                if let known {
                    // The client's earlier call does not watch it any longer.
                    if !known.state.isFinal { follow(known, isDetached: true, isCounted: false) }
                    followed[known.id]?.live.detach()
                    return known
                }
            }
            if let source = request.source {
                job.source = try await reaching {
                    try await self.store(source, strength: request.strength ?? 1)
                }
            }
            if !request.controls.isEmpty {
                job.controls = try await reaching {
                    try await self.store.store(request.controls)
                }
            }
            return try await enqueue(job, submission)
        }

        private func enqueue(_ job: FleetJob, _ submission: Submission) async throws -> FleetJob {
            let hasKey = submission.idempotencyKey != nil
            let (store, priority) = (store, job.request.priority)
            let subject = FleetNames.queueSubject(job.model, priority)
            if !queues.contains(subject) {
                try await reaching { try await store.ensureQueue(of: job.model, priority) }
                queues.insert(subject)
            }
            // Before the job is there: its first events would be missed.
            follow(job, isDetached: submission.isDetached || hasKey, isCounted: true)
            do {
                let bytes = try job.encoded
                _ = try await reaching {
                    try await store.connection.store(subject, bytes, id: job.id)
                }
            } catch {
                followed.removeValue(forKey: job.id)?.end(.failure(error))
                // The server may have it although it did not say so. With a key the client comes again
                // for the same job, which must not end meanwhile.
                if !hasKey { withdraw(job) }
                throw error
            }
            // From here on it is accepted. A worker that is faster has written it already.
            do {
                let revision = try await store.jobs.set(job.id, try job.encoded, after: 0)
                update(job, revision)
            } catch {
                if index[job.id] == nil { update(job, 0) }
            }
            return job
        }

        /// Cancels a job that was not acknowledged, as soon as NATS can be reached.
        private func withdraw(_ job: FleetJob) {
            var policy = RetryPolicy(pause: .seconds(1), limit: .seconds(600))
            policy.clock = clock
            tasks.start { [store, policy] in
                _ = try? await policy.run(while: { !($0 is CancellationError) }) {
                    _ = try await store.change(job.id, base: job) {
                        $0.ended(
                            JobEnd(
                                .cancelled, "The gateway could not accept it.",
                                code: .queueUnreachable))
                    }
                }
            }
        }

        // MARK: - Idempotency keys

        /// The job that an idempotency key stands for.
        private struct Claim: Codable {
            var job: String
            var fingerprint: String?
        }

        /// Claims an idempotency key for a job.
        ///
        /// A job that failed for a reason that may be gone loses the key to the new one.
        ///
        /// - Returns: The id of the job that the key stands for, the given one if the key is new; and that
        ///   job, if it was accepted.
        private func claim(
            _ key: String, _ submission: Submission, _ id: String
        ) async throws -> (id: String, known: FleetJob?) {
            let name = SHA256.hexadecimal(Array("\(submission.owner ?? "")\n\(key)".utf8))
            let claim = Claim(job: id, fingerprint: submission.fingerprint)
            var revision: UInt64 = 0
            while true {
                if try await reaching({ [revision] in
                    try await self.set(claim, of: name, after: revision)
                }) {
                    return (id, nil)
                }
                let (known, now) = try await reaching { try await self.knownClaim(name) }
                guard known.fingerprint == submission.fingerprint else {
                    throw JobStoreError(
                        code: .keyReused,
                        message:
                            "The idempotency key was used for a different request before; send a"
                            + " new key with a new request.")
                }
                let job = try await find(known.job, for: .all)
                guard let job, job.job().mayBeSubmittedAgain else { return (known.job, job) }
                revision = now
            }
        }

        /// Sets the job of an idempotency key.
        ///
        /// Returns whether the key had the revision; 0 is that of a new one.
        private nonisolated func set(
            _ claim: Claim, of name: String, after revision: UInt64
        ) async throws -> Bool {
            do {
                try await store.keys.set(
                    name, [UInt8](try JSONEncoder().encode(claim)), after: revision)
                return true
            } catch let error as NATSError where error.code == .conflict {
                return false
            }
        }

        /// A claim that exists, with its revision; a server that lags behind may not have it yet.
        private nonisolated func knownClaim(
            _ name: String
        ) async throws -> (claim: Claim, revision: UInt64) {
            struct Missing: Error {}
            var policy = RetryPolicy(pause: .milliseconds(100), limit: .seconds(2))
            policy.clock = clock
            do {
                let (bytes, revision) = try await policy.run(while: { $0 is Missing }) {
                    guard let value = try await store.keys.value(of: name) else { throw Missing() }
                    return value
                }
                return (try JSONDecoder().decode(Claim.self, from: Data(bytes)), revision)
            } catch is Missing {
                throw NATSError(.unreachable, "reading an idempotency key")
            }
        }

        private nonisolated func store(
            _ source: ImageRequest.Source, strength: Double
        ) async throws -> FleetJob.Source {
            let image = try await store.store(try ImageEncoder.encode(source.image))
            var mask: StoredFile?
            if let pixels = source.mask {
                mask = try await store.store(try ImageEncoder.encode(pixels))
            }
            return FleetJob.Source(image: image, mask: mask, strength: strength)
        }
    }
#endif
