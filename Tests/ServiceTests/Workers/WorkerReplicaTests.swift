// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Service
import Testing

/// Workers of a model that come and go while it serves.
@Suite("A model gets more workers, and fewer", .serialized, .timeLimit(.minutes(3)))
struct WorkerReplicaTests {
    @Test(
        "what a worker draws when it is taken away is finished, and the names are never used again")
    func upAndDown() async throws {
        try await WorkerBench.withPool { pool in
            let model = try await pool.launch(WorkerBench.launch)
            #expect(
                try await pool.addReplicas(2, to: model.id) == ["emoji-nano/2", "emoji-nano/3"])
            let request = try WorkerBench.request(model, steps: 40)
            var taking: Task<Int, any Error>?
            let outcome = try await Outcome(pool.events(for: request, model: model.id)) { _ in
                guard taking == nil else { return }
                let rows = try #require(await pool.report().first).replicas
                let busy = try #require(rows.first { $0.requests == 1 })
                let number = try #require(Int(busy.name.split(separator: "/")[1]))
                taking = Task { try await pool.removeReplica(number, of: model.id) }
            }
            #expect(try await taking?.value == 2)
            #expect(outcome.list == (try WorkerBench.expected(request)))
            #expect(outcome.story.count { $0 == "started" } == 1)
            #expect(try await pool.addReplicas(1, to: model.id) == ["emoji-nano/4"])
            let again = try await Outcome(pool.events(for: request, model: model.id))
            #expect(again.list == outcome.list)
        }
    }

    @Test("without grace its requests go to another worker")
    func noGrace() async throws {
        try await WorkerBench.withPool { pool in
            let model = try await pool.launch(WorkerBench.launch)
            try await pool.addReplicas(1, to: model.id)
            let request = try WorkerBench.request(model, steps: 200)
            var isTaken = false
            let outcome = try await Outcome(pool.events(for: request, model: model.id)) { _ in
                guard !isTaken else { return }
                isTaken = true
                let rows = try #require(await pool.report().first).replicas
                let busy = try #require(rows.first { $0.requests == 1 })
                let number = try #require(Int(busy.name.split(separator: "/")[1]))
                try await pool.removeReplica(number, of: model.id, grace: .zero)
            }
            #expect(outcome.list == (try WorkerBench.expected(request)))
            #expect(outcome.story.count { $0 == "started" } == 2)
        }
    }

    @Test(
        "neither the last worker nor one that is not there can be taken, nor more than memory allows"
    )
    func refusals() async throws {
        try await WorkerBench.withPool(configure: { $0.memoryBudget = 1 << 30 }) { pool in
            let model = try await pool.launch(WorkerBench.launch)
            func code(_ body: () async throws -> Void) async -> LaunchError.Code? {
                await #expect(throws: LaunchError.self) { try await body() }?.code
            }
            #expect(await code { try await pool.removeReplica(1, of: model.id) } == .usage)
            #expect(await code { try await pool.removeReplica(2, of: model.id) } == .notLaunched)
            #expect(await code { try await pool.removeReplica(1, of: "none") } == .notLaunched)
            #expect(await code { try await pool.addReplicas(1, to: "none") } == .notLaunched)
            #expect(await code { try await pool.addReplicas(64, to: model.id) } == .overBudget)
            #expect(await pool.report().first?.replicas.count == 1)
        }
    }
}
