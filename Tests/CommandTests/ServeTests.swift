// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// The server as a process: signals, logs, and the figures of a real engine.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ServeTests {
    @Test("SIGHUP reopens the access log, SIGTERM ends the program")
    func signals() throws {
        let folder = try TemporaryFolder()
        let server = try RunningServer(
            ["--access-log", "access.log", "--log-format", "json"], in: folder)
        _ = try server.get("/livez", id: "first")
        try server.wait("a line") { try server.text("access.log").contains("id=first ") }
        try FileManager.default.moveItem(
            atPath: folder.path("access.log"), toPath: folder.path("access.log.1"))
        _ = try server.get("/livez", id: "second")
        try server.wait("a line in the old file") {
            try server.text("access.log.1").contains("id=second ")
        }
        kill(server.process.processIdentifier, SIGHUP)
        try server.wait("the new file") { try folder.contents().contains("access.log") }
        _ = try server.get("/livez", id: "third")
        try server.wait("a line in the new file") {
            try server.text("access.log").contains("id=third ")
        }
        #expect(!(try server.text("access.log.1").contains("id=third ")))
        server.process.terminate()
        server.process.waitUntilExit()
        #expect(server.process.terminationReason == .exit)
        #expect(server.process.terminationStatus == 0)
        let lines = try server.text("err").split(separator: "\n")
        let messages = try lines.map { line in
            let json = try JSONSerialization.jsonObject(with: Data(line.utf8))
            return try #require(json as? [String: String])["message"]
        }
        #expect(messages.contains("access log reopened") && messages.last == "stopped")
        #expect(!messages.contains("request"), "one line a request is enough")
    }

    @Test("a picture is counted to the last step, and in the log as long as it took")
    func figures() throws {
        let folder = try TemporaryFolder()
        let server = try RunningServer(["--access-log", "access.log"], in: folder)
        let answer = try server.post(
            "/v1/images/generations", #"{"prompt": "a cat", "steps": 3, "n": 2, "size": "64x64"}"#)
        #expect(answer.hasPrefix("HTTP/1.1 200 OK"))
        let metrics = try server.get("/metrics")
        let worker = #"model="emoji-nano",worker="emoji-nano/1""#
        for line in [
            #"inkstone_images_total{model="emoji-nano"} 2.0"#,
            #"inkstone_pixels_total{model="emoji-nano"} 8192.0"#,
            #"inkstone_denoise_evaluations_total{model="emoji-nano"} 6.0"#,
            #"inkstone_batch_size_sum{model="emoji-nano"} 6.0"#,
            #"inkstone_cache_info{cache="prompt",keeps="prompt captions",\#(worker)} 1.0"#,
            #"inkstone_cache_misses_total{cache="prompt",\#(worker)} 1.0"#,
            #"inkstone_engine_requests{\#(worker),state="running"} 0.0"#,
            #"inkstone_worker_up{\#(worker)} 1.0"#,
            #"inkstone_worker_restarts_total{\#(worker)} 0.0"#,
            #"inkstone_vae_decode_seconds_count{model="emoji-nano"} 2.0"#,
            #"inkstone_lora_loaded{model="emoji-nano"} 0.0"#,
        ] {
            #expect(metrics.contains("\n" + line + "\n"), "\(line)")
        }
        try server.wait("the line") {
            try server.text("access.log").contains(" n=2 steps=3 size=64x64 model=emoji-nano ")
        }
    }

    @Test("a job survives kill -9 of the server, and its picture is the one made in one go")
    func killed() throws {
        let folder = try TemporaryFolder()
        var server = try RunningServer(in: folder)
        let request = #"{"prompt": "a cat", "steps": 60, "n": 2, "size": "64x64", "seed": 3}"#
        func field(_ name: String, _ answer: String) throws -> String {
            let match = try #require(
                answer.firstMatch(
                    of: try Regex("\"\(name)\":\"([^\"]+)\"", as: (Substring, Substring).self)))
            return String(match.1)
        }
        func finish(_ id: String) throws -> [String] {
            var answer = ""
            try server.wait("the job to end") {
                answer = try server.get("/api/jobs/\(id)")
                return try field("state", answer) == "succeeded"
            }
            return answer.matches(of: /"pixel_sha256":"(\w+)"/).map { String($0.1) }
        }
        let id = try field("id", try server.post("/api/jobs", request))
        try server.wait("the third step") {
            let answer = try server.get("/api/jobs/\(id)")
            guard let match = answer.firstMatch(of: /"steps_done":(\d+)/) else { return false }
            return (Int(match.1) ?? 0) >= 3
        }
        kill(server.process.processIdentifier, SIGKILL)
        server.process.waitUntilExit()
        server = try RunningServer(in: folder)
        let resumed = try finish(id)
        #expect(try server.get("/api/jobs/\(id)").contains(#""attempts":2"#))
        let other = try finish(try field("id", try server.post("/api/jobs", request)))
        #expect(resumed.count == 2 && resumed == other)
    }

    @Test("a stream that is open at the end has an error, and its job continues at the next start")
    func stopped() throws {
        let folder = try TemporaryFolder()
        var server = try RunningServer(in: folder)
        let accepted = try server.post(
            "/api/jobs", #"{"prompt": "a cat", "steps": 200, "n": 8, "size": "256x256"}"#)
        let id = try #require(accepted.firstMatch(of: /"id":"(job-\w+)"/)).1
        var isSignalled = false
        let stream = try server.exchange(
            "GET /api/jobs/\(id)/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ) { text in
            guard text.contains("event: step"), !isSignalled else { return }
            isSignalled = true
            // The second signal ends the time for requests in progress.
            server.process.terminate()
            try server.wait("the first signal") { try server.text("err").contains("stopping") }
            server.process.terminate()
        }
        let last = try #require(stream.components(separatedBy: "event: ").last)
        #expect(last.hasPrefix("error\n") && last.contains(#""code":"server_stopping""#))
        server.process.waitUntilExit()
        #expect(server.process.terminationReason == .exit && server.process.terminationStatus == 0)
        // The database file has everything: nothing is left in its log.
        let log = try? FileManager.default.attributesOfItem(
            atPath: folder.path("data/jobs.sqlite-wal"))
        #expect(log?[.size] as? Int ?? 0 == 0)
        server = try RunningServer(in: folder)
        try server.wait("the job to run again") {
            let answer = try server.get("/api/jobs/\(id)")
            #expect(!answer.contains(#""failure":"#))
            return answer.contains(#""state":"running""#) && answer.contains(#""attempts":1"#)
        }
        _ = try server.post("/api/jobs/\(id)/cancel", "")
    }

    @Test("two servers cannot share a data folder")
    func sharedData() async throws {
        let folder = try TemporaryFolder()
        let server = try RunningServer(in: folder)
        let result = try await Program.run(
            ["serve", "--port", "0", "--page-port", "0", "--data", "data"], in: folder)
        #expect(result.status == 75)
        #expect(result.errors.contains("Another server uses the data folder"))
        #expect(server.process.isRunning)
    }

    @Test("an access log that cannot be opened ends the program before it serves")
    func badAccessLog() async throws {
        let result = try await Program.run(
            ["serve", "--port", "0", "--page-port", "0", "--access-log", "/no/such/file"],
            in: try TemporaryFolder())
        #expect(result.status == 66)
        #expect(
            result.errors == "inkstone: The log file '/no/such/file' cannot be opened: No such file"
                + " or directory; choose another file, or '-' for standard output.\n")
    }
}
