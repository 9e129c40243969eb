// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Service
import Synchronization
import Telemetry
import Tensors
import Testing

/// The Vulkan device of tests of workers.
private enum TestedDevice {
    /// The one that the environment names.
    static let selection = ProcessInfo.processInfo.environment["INKSTONE_TEST_DEVICE"]
        .flatMap(DeviceSelection.init(argument:))
}

/// Workers on a Vulkan device that `Scripts/run-tests` names.
@Suite(
    "A request outlives the worker of a GPU", .serialized, .timeLimit(.minutes(3)),
    .enabled(if: TestedDevice.selection != nil, "no Vulkan device"))
struct DeviceFailureTests {
    private enum Failure: CaseIterable {
        /// The process is killed.
        case killed
        /// The driver reports that the device is lost.
        case lost
    }

    @Test("after kill -9 in mid-step and after the loss of the device the bytes are the same")
    func failures() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "ink-device-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let loss = folder.appending(path: "loss")
        let program = try Self.program(in: folder, loss: loss)
        let logs = PoolLog()
        try await WorkerBench.withPool(logs: logs, configure: { $0.program = program }) { pool in
            var launch = WorkerBench.launch
            launch.devices = [try #require(TestedDevice.selection)]
            let model = try await pool.launch(launch)
            #expect(model.kernels.hasPrefix("vulkan "))
            let request = try WorkerBench.request(model, steps: 4)
            let alone = try await Outcome(pool.events(for: request, model: model.id))
            #expect(alone.list.count == 1)
            #expect(alone.origins.map { $0?.device } == ["vulkan:0"])
            #expect(alone.origins.map { $0?.kernels } == [model.kernels])
            for (index, failure) in Failure.allCases.enumerated() {
                let victim = try await WorkerBench.pid(pool)
                var isDone = false
                let outcome = try await Outcome(pool.events(for: request, model: model.id)) { _ in
                    // The first step is done, and the second is computed.
                    guard !isDone else { return }
                    isDone = true
                    switch failure {
                    case .killed: kill(victim, SIGKILL)
                    case .lost: try Data().write(to: loss)
                    }
                }
                #expect(outcome.list == alone.list, "\(failure)")
                #expect(outcome.story.count { $0 == "started" } == 2, "\(failure)")
                #expect(try await WorkerBench.pid(pool) != victim)
                let restarts = await pool.families()
                    .first { $0.name == "inkstone_worker_restarts_total" }?.samples.map(\.value)
                #expect(restarts == [Double(index + 1)])
            }
            #expect(!FileManager.default.fileExists(atPath: loss.path))
        }
        let lines = logs.lines.all.withLock { $0 }
        #expect(lines.contains { $0.hasPrefix("ended with signal 9 (SIGKILL); starting it again") })
        #expect(lines.contains { $0.contains("was lost at a submission: its driver reset it") })
        #expect(lines.contains { $0.hasPrefix("ended with exit status 70; starting it again") })
    }

    @Test("once an image was delivered, the others come from the same device")
    func sameDevice() async throws {
        try await WorkerBench.withPool { pool in
            var launch = WorkerBench.launch
            launch.devices = [try #require(TestedDevice.selection), .cpu]
            launch.replicas = 2
            // One image in a pass: they end one after the other.
            launch.limits = SchedulerLimits(passTokens: 1)
            let model = try await pool.launch(launch)
            let request = try WorkerBench.request(model, steps: 2, count: 3)
            var devices: [String?] = []
            var victim: String?
            for try await event in pool.events(for: request, model: model.id) {
                guard case .image(let image) = event else { continue }
                devices.append(image.origin?.device)
                guard victim == nil else { continue }
                let rows = try #require(await pool.report().first).replicas
                let busy = try #require(rows.first { $0.requests == 1 })
                victim = busy.name
                kill(try #require(busy.pid), SIGKILL)
            }
            #expect(devices == Array(repeating: devices[0], count: 3))
            let restarted = try #require(await pool.report().first).replicas.filter {
                $0.restarts > 0
            }
            #expect(restarted.map(\.name) == [victim])
        }
    }

    /// Writes a program whose device is lost when a file appears.
    private static func program(in folder: URL, loss: URL) throws -> String {
        let script = folder.appending(path: "inkstone")
        try
            "#!/bin/sh\nINKSTONE_LOSE_DEVICE='\(loss.path)' exec '\(try WorkerBench.program())' \"$@\"\n"
            .write(to: script, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: script.path)
        return script.path
    }
}
