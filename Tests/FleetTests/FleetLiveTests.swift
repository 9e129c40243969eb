// Part of Inkstone. Licence: see LICENSE.

import Parameters

#if Fleet
    import Basics
    import Engine
    import Fleet
    import Service
    import Testing

    /// What is kept in a real NATS server.
    @Suite(
        .enabled(
            if: LiveServer.program != nil,
            "nats-server is not installed; apt install nats-server adds it."))
    struct FleetLiveTests {
        private func job(_ id: String, count: Int = 1) throws -> FleetJob {
            var draft = ImageRequest.Draft(prompt: "a fish")
            draft.count = count
            draft.seed = 1
            return FleetJob(
                id: id, model: "m.1", request: try ImageRequest(draft, for: .small), created: 0)
        }

        @Test func filesOfEveryLengthComeBack() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let limit = NATSConnection.messageLimit
            for count in [0, 1, limit, limit + 1, 2 * limit, 3 * limit - 1] {
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                let file = try await server.store.store(bytes)
                #expect(try await server.store.read(file) == bytes, "\(count) bytes")
                if count > 0 { #expect(try await server.store.read(named: file.digest) == bytes) }
            }
            #expect(
                try await server.store.read(StoredFile(digest: SHA256.hexadecimal([7]), size: 1))
                    == nil)
        }

        @Test func gatewaysShareOneSecretOfLinks() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let store = server.store
            let permits = try await withThrowingTaskGroup(of: LinkSigner.Permit.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await store.linkSigner().permit("a", key: "k", expires: 1)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(permits.count == 8 && permits.allSatisfy { $0 == permits[0] })
        }

        @Test func oneOfManyBeginsAnAttempt() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let (store, base) = (server.store, try job("job-1"))
            let begun = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<16 {
                    group.addTask {
                        let outcome = try await store.change(base.id, base: base) {
                            $0.begun(by: "\(number)", at: 0, limit: 3)
                        }
                        return outcome?.isChanged == true ? 1 : 0
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(begun == 3)
            #expect(try await store.job(base.id)?.job.attempts == 3)
            #expect(try await store.job("job-2") == nil)
        }

        @Test func aMessageComesAgainUntilItIsAnswered() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let store = server.store
            try await store.ensureQueue(of: "m.1", .low)
            let (stream, subject) = (
                FleetNames.queue("m.1", .low), FleetNames.queueSubject("m.1", .low)
            )
            let first = try PullConsumer(
                store.connection, stream: stream, subject: subject, window: 1)
            let second = try PullConsumer(
                store.connection, stream: stream, subject: subject, window: 60)
            #expect(second.window == 1, "what the first one asked for holds")
            for _ in 0..<2 {
                try await store.connection.store(subject, [1, 2], id: "job-1")
            }
            let lost = try await first.next(within: 2)
            #expect(lost?.bytes == [1, 2])
            #expect(try await second.next(within: 0.2) == nil, "an id that came before is left out")
            let again = try #require(try await second.next(within: 3))
            for _ in 0..<3 {
                try await Task.sleep(for: .milliseconds(500))
                again.extendDeadline()
            }
            #expect(try await first.next(within: 0.2) == nil, "who works keeps it")
            again.acknowledge()
            #expect(try await first.next(within: 1.5) == nil)
            #expect(try await store.connection.depth(of: stream) == 0)
        }

        @Test func aWatchReportsEveryChange() async throws {
            let server = try await LiveServer()
            defer { server.stop() }
            let bucket = server.store.keys
            let before = try await bucket.set("a", [1])
            var changes = bucket.changes().makeAsyncIterator()
            guard case .value("a", [1], before)? = await changes.next(),
                case .caughtUp? = await changes.next()
            else {
                Issue.record("existing values are not reported first")
                return
            }
            try await bucket.set("b", [2], after: 0)
            await #expect(throws: NATSError.self) { try await bucket.set("b", [3], after: 0) }
            try await bucket.remove("a")
            guard case .value("b", [2], _)? = await changes.next(),
                case .removed("a")? = await changes.next()
            else {
                Issue.record("changes are not reported in order")
                return
            }
        }
    }
#endif
