// Part of Inkstone. Licence: see LICENSE.

#if Fleet
    import Engine
    import Fleet
    import Logging
    import Parameters
    import Service
    import Testing

    /// Lookups find the jobs of their access only, at every gateway.
    @Suite(
        .enabled(
            if: LiveServer.program != nil,
            "nats-server is not installed; apt install nats-server adds it."),
        .timeLimit(.minutes(5)))
    struct FleetAccessTests {
        private let ann = JobAccess.owner("ann")
        private let bob = JobAccess.owner("bob")

        /// A gateway's queue that knows all jobs.
        private func queue(_ server: LiveServer, _ gateway: String) async throws -> FleetQueue {
            let queue = FleetQueue(
                server.store, presence: WorkerPresence(server.store, gateway: gateway),
                meter: EngineMeter(ServiceTelemetry(version: "1").engine), gateway: gateway,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            while await !queue.isReachable { try await Task.sleep(for: .milliseconds(10)) }
            return queue
        }

        private func submit(
            _ owner: String?, _ call: String, to queue: FleetQueue
        ) async throws -> Job {
            try await queue.submit(
                try ImageRequest(ImageRequest.Draft(prompt: "a fish"), for: .small),
                model: ModelDescription.small.id,
                Submission(requestID: call, owner: owner, isDetached: true), onEnd: {})
        }

        @Test("no lookup reaches a job of another owner, by its id or by its call")
        func foreign() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let first = try await queue(server, "first")
            let job = try await submit("ann", "call", to: first)
            let other = try await submit("bob", "call", to: first)
            let unowned = try await submit(nil, "unowned", to: first)
            for queue in [first, try await queue(server, "second")] {
                for access in [bob, .owner(""), .none] {
                    for name in [job.id, unowned.id, "unowned"] {
                        #expect(try await queue.job(name, for: access) == nil)
                        #expect(try await queue.watch(name, for: access) == nil)
                        #expect(await queue.progress(name, for: access) == nil)
                        #expect(try await queue.image(0, of: name, for: access) == nil)
                        #expect(await queue.cancel(name, for: access) == false)
                        #expect(try await queue.remove(name, for: access) == false)
                    }
                    #expect(
                        try await queue.jobs(JobQuery(access)).allSatisfy { $0.id == other.id })
                    #expect(
                        await queue.unfinished(for: access).allSatisfy { $0.id == other.id })
                }
                #expect(try await queue.job("call", for: ann)?.job.id == job.id)
                #expect(try await queue.job("call", for: bob)?.job.id == other.id)
                #expect(await queue.unfinished(for: ann).map(\.id) == [job.id])
                #expect(await queue.unfinished(for: .all).count == 3)
            }
            #expect(await first.cancel("call", for: bob))
            #expect(try await first.job(job.id, for: ann)?.job.state == .queued)
            // The gateway hears of the cancellation from NATS.
            while try await !first.remove("call", for: bob) {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(try await first.job("call", for: bob) == nil)
            #expect(try await first.job("call", for: .all)?.job.id == job.id)
        }
    }
#endif
