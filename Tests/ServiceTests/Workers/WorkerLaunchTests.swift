// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Service
import Testing

/// Models that come and go.
@Suite("Models are launched and terminated at run time", .serialized, .timeLimit(.minutes(3)))
struct WorkerLaunchTests {
    @Test("two models at once, each under its name; one goes, the other stays")
    func lifecycle() async throws {
        try await WorkerBench.withPool { pool in
            var (first, second) = (WorkerBench.launch, WorkerBench.launch)
            (first.id, second.id) = ("first", "second")
            second.loras = [
                .init(
                    file: WorkerBench.model.appending(path: "loras/sketch.safetensors"), scale: 0.8)
            ]
            let model = try await pool.launch(first)
            try await pool.launch(second)
            #expect(await pool.models.map(\.id) == ["first", "second"])
            let again = await #expect(throws: LaunchError.self) { try await pool.launch(second) }
            #expect(again?.code == .alreadyLaunched)
            let request = try WorkerBench.request(model)
            let plain = try await Outcome(pool.events(for: request, model: "first"))
            let sketch = try await Outcome(pool.events(for: request, model: "second"))
            #expect(plain.list == (try WorkerBench.expected(request)))
            #expect(sketch.list.count == 1 && sketch.list != plain.list)

            let pid = try #require(await pool.report().last?.replicas.first?.pid)
            try await pool.terminate("second")
            #expect(await pool.models.map(\.id) == ["first"])
            #expect(!WorkerBench.isAlive(pid))
            let gone = await #expect(throws: GenerationError.self) {
                _ = try await Outcome(pool.events(for: request, model: "second"))
            }
            #expect(gone?.code == .notLoaded)
            await #expect(throws: LaunchError.self) { try await pool.terminate("second") }
            #expect(try await Outcome(pool.events(for: request, model: "first")).list == plain.list)
            try await pool.launch(second)
            #expect(
                try await Outcome(pool.events(for: request, model: "second")).list == sketch.list)
        }
    }

    @Test("a worker inherits no open file")
    func descriptors() async throws {
        let path = WorkerBench.model.appending(path: "inkstone.json").resolvingSymlinksInPath().path
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        try await WorkerBench.withPool { pool in
            try await pool.launch(WorkerBench.launch)
            let folder = "/proc/\(try await WorkerBench.pid(pool))/fd"
            let links = try FileManager.default.contentsOfDirectory(atPath: folder).compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")
            }
            #expect(links.count >= 3 && fcntl(descriptor, F_GETFD) == 0)
            #expect(!links.contains(path))
        }
    }

    @Test("a model that is terminated finishes what it has")
    func drain() async throws {
        try await WorkerBench.withPool { pool in
            let model = try await pool.launch(WorkerBench.launch)
            let request = try WorkerBench.request(model, steps: 40)
            let pid = try await WorkerBench.pid(pool)
            var terminating: Task<Void, any Error>?
            let outcome = try await Outcome(pool.events(for: request, model: model.id)) { _ in
                if terminating == nil {
                    terminating = Task { try await pool.terminate(model.id) }
                }
            }
            try await terminating?.value
            #expect(outcome.list == (try WorkerBench.expected(request)))
            #expect(outcome.story.count { $0 == "started" } == 1)
            #expect(!WorkerBench.isAlive(pid))
        }
    }

    @Test("terminating a model while it loads ends the launch")
    func cancelledLaunch() async throws {
        try await WorkerBench.withPool { pool in
            let launching = Task { try await pool.launch(WorkerBench.launch) }
            let isThere = try await WorkerBench.wait { await !pool.report().isEmpty }
            #expect(isThere)
            try await pool.terminate("emoji-nano")
            // It may have been ready a moment before.
            if case .failure(let error) = await launching.result {
                #expect((error as? LaunchError)?.code == .cancelled)
            }
            #expect(await pool.models.isEmpty)
        }
    }

    @Test("a launch that would not fit in the budget is refused before it starts")
    func budget() async throws {
        try await WorkerBench.withPool(configure: { $0.memoryBudget = 200_000_000 }) { pool in
            try await pool.launch(WorkerBench.launch)
            let reserved = try #require(await pool.report().first?.reservedBytes)
            #expect((50_000_000...200_000_000).contains(reserved))
            var more = WorkerBench.launch
            more.id = "more"
            more.replicas = 4
            let error = await #expect(throws: LaunchError.self) { try await pool.launch(more) }
            #expect(error?.code == .overBudget)
            #expect(error?.message.contains("of the budget of 0.2 GB only") == true)
            #expect(await pool.models.count == 1)
            try await pool.terminate("emoji-nano")
            more.replicas = 1
            try await pool.launch(more)
        }
    }

    @Test("a damaged model is refused with the worker's words, and not tried again")
    func damaged() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-worker-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.copyItem(at: WorkerBench.model, to: folder)
        let weights = folder.appending(path: "vae/diffusion_pytorch_model.safetensors")
        let whole = try Data(contentsOf: weights)
        try whole.prefix(whole.count / 2).write(to: weights)
        let logs = PoolLog()
        try await WorkerBench.withPool(logs: logs) { pool in
            var launch = WorkerBench.launch
            launch.folder = folder
            let error = await #expect(throws: LaunchError.self) { try await pool.launch(launch) }
            #expect(error?.code == .badFile)
            #expect(error?.message.contains("diffusion_pytorch_model.safetensors") == true)
            #expect(await pool.models.isEmpty)
        }
        #expect(logs.count("not started: ") == 1)
        #expect(logs.count("starting again") == 0)

        let serve = try ServeRun(["--model", folder.path])
        #expect(await serve.end() == 65)
        let errors = serve.errors
        #expect(
            errors.contains(/\ninkstone: [^\n]*diffusion_pytorch_model\.safetensors[^\n]*\n$/),
            "\(errors)")
    }

    @Test("a model without requests is unloaded, and loaded again for the next one")
    func idle() async throws {
        try await WorkerBench.withPool(configure: { $0.idleUnload = .milliseconds(300) }) { pool in
            let model = try await pool.launch(WorkerBench.launch)
            let request = try WorkerBench.request(model)
            let pid = try await WorkerBench.pid(pool)
            let first = try await Outcome(pool.events(for: request, model: model.id))
            let isGone = try await WorkerBench.wait {
                let replica = await pool.report().first?.replicas.first
                return replica?.pid == nil && !WorkerBench.isAlive(pid)
            }
            #expect(isGone)
            #expect(await pool.models == [model])
            let second = try await Outcome(pool.events(for: request, model: model.id))
            #expect(second.list == first.list)
            #expect(await pool.report().first?.replicas.first?.restarts == 0)
        }
    }
}
