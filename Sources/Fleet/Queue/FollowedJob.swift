// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Service
    import Synchronization

    /// A job that is not final, as far as this gateway has followed it.
    final class FollowedJob: Sendable {
        let live: LiveJob
        /// The job as the bucket has it, after each change.
        let updates: AsyncStream<FleetJob>
        private let feed: AsyncStream<FleetJob>.Continuation
        private let state: Mutex<State>

        private struct State {
            var attempt: Int
            var joiner = EventParts.Joiner()
            var meter: JobMeter?
            var subscription: NATSSubscription?
            /// Delivers the updates; it ends when they do.
            var task: Task<Void, Never>?
        }

        init(_ job: FleetJob, isDetached: Bool, meter: JobMeter?) {
            live = LiveJob(job.job(), earlier: [], isDetached: isDetached)
            (updates, feed) = AsyncStream.makeStream()
            state = Mutex(State(attempt: job.attempts, meter: meter))
        }

        /// Keeps the interest in the job's events for as long as it is followed.
        func listen(_ subscription: NATSSubscription) {
            state.withLock { $0.subscription = subscription }
        }

        /// Keeps the task that delivers the updates.
        func attach(_ task: Task<Void, Never>) {
            state.withLock { $0.task = task }
        }

        /// Records the job as the bucket has it.
        func update(_ job: FleetJob) {
            state.withLock { $0.attempt = max($0.attempt, job.attempts) }
            feed.yield(job)
        }

        /// Receives a message of the worker; those of an earlier attempt are ignored.
        func receive(_ message: [UInt8]) {
            let frame: [UInt8]? = state.withLock { state in
                guard let (frame, attempt) = state.joiner.append(message), attempt >= state.attempt
                else { return nil }
                state.attempt = attempt
                return frame
            }
            guard let frame, let events = try? EventBytes.decode(frame) else { return }
            for event in events {
                // Images come from the store alone.
                if case .image = event { continue }
                publish(event)
            }
        }

        /// Publishes an event to the watchers and counts it.
        func publish(_ event: JobEvent) {
            live.publish(event)
            state.withLock { $0.meter }?.record(event)
        }

        /// Ends the job for the watchers.
        func end(_ result: Result<Void, any Error>) {
            live.end(result)
            feed.finish()
            let (meter, subscription) = state.withLock { state in
                defer { (state.meter, state.subscription, state.task) = (nil, nil, nil) }
                return (state.meter, state.subscription)
            }
            switch result {
            case .success: meter?.end(.ok)
            case .failure(is CancellationError): meter?.end(.cancelled)
            case .failure(let error): meter?.end(.failed(error))
            }
            // Released outside of the lock: it waits for a message that is being delivered.
            withExtendedLifetime(subscription) {}
        }
    }
#endif
