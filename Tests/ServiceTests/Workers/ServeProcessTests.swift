// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// `inkstone serve` as a process, on ports that the system chooses.
final class ServeRun: Sendable {
    let process: Process
    let folder: URL

    init(_ arguments: [String]) throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-serve-\(UUID().uuidString.prefix(8))")
        self.folder = folder
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let files = ["out", "err"].map { folder.appending(path: $0) }
        for file in files { try Data().write(to: file) }
        process = Process()
        process.executableURL = URL(filePath: try WorkerBench.program())
        process.arguments =
            [
                "serve", "--port", "0", "--page-port", "0", "--threads", "1", "--no-weight-cache",
            ]
            + arguments
        process.environment = [
            "HOME": folder.path, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8",
            "TMPDIR": folder.path,
            "INKSTONE_MODELS": WorkerBench.model.deletingLastPathComponent().path,
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(at: folder)
    }

    var output: String { text("out") }
    var errors: String { text("err") }

    private func text(_ name: String) -> String {
        (try? String(contentsOf: folder.appending(path: name), encoding: .utf8)) ?? ""
    }

    /// Waits for the end, a minute at most.
    func end() async -> Int32? {
        let isOver = try? await WorkerBench.wait(seconds: 60) { !process.isRunning }
        return isOver == true ? process.terminationStatus : nil
    }

    /// Processes that it started.
    func children() throws -> [Int32] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }
            .filter { pid in
                guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                    let end = text.lastIndex(of: ")")
                else { return false }
                let fields = text[end...].split(separator: " ")
                return fields.count > 2 && fields[2] == "\(process.processIdentifier)"
            }
    }

    /// Folders of sockets.
    func socketFolders() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasPrefix("inkstone-") }
    }

    /// Waits until its models are loaded.
    func waitUntilLoaded(_ count: Int = 1) async throws -> Bool {
        try await WorkerBench.wait(seconds: 60) {
            output.components(separatedBy: "loaded in").count == count + 1
        }
    }
}

@Suite("Workers end with their gateway", .serialized, .timeLimit(.minutes(3)))
struct ServeProcessTests {
    @Test("kill -9 of the gateway leaves no worker and no socket")
    func orphan() async throws {
        let serve = try ServeRun(["--workers", "2"])
        #expect(try await serve.waitUntilLoaded(), "\(serve.errors)")
        let workers = try serve.children()
        #expect(workers.count == 2)
        let folder = try #require(try serve.socketFolders().first)
        let attributes = try FileManager.default.attributesOfItem(
            atPath: serve.folder.appending(path: folder).path)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o700)
        kill(serve.process.processIdentifier, SIGKILL)
        let isClean = try await WorkerBench.wait {
            try workers.allSatisfy { !WorkerBench.isAlive($0) } && serve.socketFolders().isEmpty
        }
        #expect(isClean)
    }

    @Test("asked to stop, the gateway ends its workers and then itself")
    func terminate() async throws {
        let serve = try ServeRun([])
        #expect(try await serve.waitUntilLoaded(), "\(serve.errors)")
        let workers = try serve.children()
        #expect(workers.count == 1)
        serve.process.terminate()
        #expect(await serve.end() == 0)
        #expect(workers.allSatisfy { !WorkerBench.isAlive($0) })
        #expect(try serve.socketFolders().isEmpty)
        let log = serve.errors
        #expect(log.contains(/Supervisor address: http:\/\/127\.0\.0\.1:\d+/), "\(log)")
        #expect(log.contains(/Worker address: unix:\/[^ ]*worker-1/), "\(log)")
        #expect(
            log.contains(/Model 'emoji-nano' loaded successfully with [\d.]+ GB memory usage/),
            "\(log)")
    }

    @Test("a worker that hangs is killed after the timeout of its gateway")
    func stopped() async throws {
        let serve = try ServeRun([])
        #expect(try await serve.waitUntilLoaded(), "\(serve.errors)")
        let worker = try #require(try serve.children().first)
        kill(worker, SIGSTOP)
        serve.process.terminate()
        #expect(await serve.end() == 0)
        #expect(!WorkerBench.isAlive(worker))
    }
}
