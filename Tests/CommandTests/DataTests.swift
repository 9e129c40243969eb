// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// `doctor`, `backup` and `restore` beside a server, and after it was killed.
@Suite(.serialized, .timeLimit(.minutes(3))) struct DataTests {
    private func doctor(_ folder: TemporaryFolder) async throws -> Program.Result {
        let result = try await Program.run(
            ["doctor", "--port", "0", "--page-port", "0", "--data", "data"], in: folder)
        #expect(result.errors == "")
        let hasProblem = result.output.contains("\nLOOK  ")
        #expect(result.status == (hasProblem ? 1 : 0), "\(result.output)")
        return result
    }

    private func submit(
        steps: Int = 1, size: Int = 64, _ server: RunningServer
    ) throws -> String {
        let answer = try server.post(
            "/api/jobs",
            #"{"prompt": "a cat", "steps": \#(steps), "size": "\#(size)x\#(size)", "seed": 3}"#)
        return String(try #require(answer.firstMatch(of: /"id":"(job-\w+)"/)).1)
    }

    @Test("doctor beside a server, and after kill -9 in the middle of a job")
    func killed() async throws {
        let folder = try TemporaryFolder()
        var server = try RunningServer(in: folder)
        let done = try submit(server)
        try server.wait("the first job") {
            try server.get("/api/jobs/\(done)").contains(#""state":"succeeded""#)
        }
        let id = try submit(steps: 200, size: 512, server)
        try server.wait("the third step") {
            let answer = try server.get("/api/jobs/\(id)")
            return (answer.firstMatch(of: /"steps_done":(\d+)/).flatMap { Int($0.1) } ?? 0) >= 3
        }
        let beside = try await doctor(folder)
        #expect(
            beside.output.contains(
                "in use by a server, process \(server.process.processIdentifier);"),
            "\(beside.output)")
        #expect(beside.output.contains("ok    jobs: 2, running 1, waiting 0"))
        kill(server.process.processIdentifier, SIGKILL)
        server.process.waitUntilExit()
        let after = try await doctor(folder)
        #expect(after.output.contains("its last server was killed"), "\(after.output)")
        #expect(after.output.contains("note  jobs: 2, at the next start run again: 1"))
        #expect(after.output.contains("ok    images: all there, 1 made by jobs"))
        server = try RunningServer(in: folder)
        try server.wait("the job to run again") {
            try server.get("/api/jobs/\(id)").contains(#""attempts":2"#)
        }
        _ = try server.post("/api/jobs/\(id)/cancel", "")
        server.process.terminate()
        server.process.waitUntilExit()
        let regular = try await doctor(folder)
        #expect(regular.output.contains("', not in use\n"), "\(regular.output)")
        #expect(regular.output.contains("ok    jobs: 2, all final"))
    }

    @Test("a damaged database: doctor and serve say what to do, restore does it")
    func damaged() async throws {
        let folder = try TemporaryFolder()
        var server = try RunningServer(in: folder)
        let id = try submit(server)
        try server.wait("the job") {
            try server.get("/api/jobs/\(id)").contains(#""state":"succeeded""#)
        }
        let image = try server.get("/api/jobs/\(id)/images/0")
        let backup = try await Program.run(["backup", "copy", "--data", "data"], in: folder)
        #expect(backup.status == 0, "\(backup.errors)")
        let refused = try await Program.run(["restore", "copy", "--data", "data"], in: folder)
        #expect(refused.status == 75 && refused.errors.contains("stop it"), "\(refused.errors)")
        server.process.terminate()
        server.process.waitUntilExit()
        let file = folder.url.appending(path: "data/jobs.sqlite")
        let size = try Data(contentsOf: file).count
        try Data(count: size).write(to: file)
        let report = try await doctor(folder)
        #expect(report.status == 1)
        #expect(report.output.contains("inkstone restore BACKUP --data "), "\(report.output)")
        let serve = try await Program.run(
            ["serve", "--port", "0", "--page-port", "0", "--data", "data"], in: folder)
        #expect(serve.status == 65 && serve.output == "")
        #expect(serve.errors.contains("jobs.sqlite' is damaged ("), "\(serve.errors)")
        #expect(serve.errors.contains("Nothing was changed. Restore a backup"))
        #expect(try Data(contentsOf: file) == Data(count: size))
        let restored = try await Program.run(["restore", "copy", "--data", "data"], in: folder)
        #expect(restored.status == 0, "\(restored.errors)")
        #expect(restored.output.hasPrefix("restored the jobs and 1 image of copy to "))
        #expect(restored.output.contains("what was there before is in "))
        server = try RunningServer(in: folder)
        let again = try server.get("/api/jobs/\(id)/images/0")
        #expect(again.split(separator: "\r\n\r\n").last == image.split(separator: "\r\n\r\n").last)
    }

    @Test("a folder of version 0.1 is upgraded by serve, with one line in the log")
    func upgrade() async throws {
        let folder = try TemporaryFolder()
        let formats = Program.repository.appending(path: "Tests/Fixtures/formats")
        try FileManager.default.createDirectory(
            at: folder.url.appending(path: "data"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            at: formats.appending(path: "jobs.sqlite"),
            to: folder.url.appending(path: "data/jobs.sqlite"))
        // The jobs are as old as the fixture.
        let options = ["--log-format", "json", "--keep-days", "100000"]
        var server = try RunningServer(options, in: folder)
        func lines() throws -> [Substring] {
            try server.text("err").split(separator: "\n").filter { $0.contains("was upgraded") }
        }
        let line = try #require(try lines().first)
        #expect(line.contains("before-upgrade") && line.contains("inkstone restore "), "\(line)")
        #expect(try lines().count == 1)
        #expect(try server.get("/api/jobs").contains("a red apple"))
        server.process.terminate()
        server.process.waitUntilExit()
        server = try RunningServer(options, in: folder)
        #expect(try lines().isEmpty)
        server.process.terminate()
        server.process.waitUntilExit()
        let back = try await Program.run(
            ["restore", "data/before-upgrade", "--data", "data"], in: folder)
        #expect(back.status == 0, "\(back.errors)")
        let report = try await doctor(folder)
        #expect(report.output.contains("note  upgrade: the folder is of an earlier version"))
    }

    @Test("a backup that is not there is named")
    func missing() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(["restore", "nope", "--data", "data"], in: folder)
        #expect(result.status == 66)
        #expect(
            result.errors.hasSuffix(
                "nope': it has no jobs.sqlite; name a folder that 'inkstone backup' has made.\n"),
            "\(result.errors)")
        #expect(try folder.contents().isEmpty)
    }
}
