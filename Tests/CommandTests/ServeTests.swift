// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Testing

/// The server as a process: signals, logs, and the figures of a real engine.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ServeTests {
    @Test("SIGHUP opens the access log anew, SIGTERM ends the program well")
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
        for line in [
            #"inkstone_images_total{model="emoji-nano"} 2.0"#,
            #"inkstone_pixels_total{model="emoji-nano"} 8192.0"#,
            #"inkstone_denoise_evaluations_total{model="emoji-nano"} 6.0"#,
            #"inkstone_batch_size_sum{model="emoji-nano"} 6.0"#,
            #"inkstone_cache_info{cache="prompt",keeps="prompt captions"} 1.0"#,
            #"inkstone_cache_misses_total{cache="prompt"} 1.0"#,
            #"inkstone_engine_requests{state="running"} 0.0"#,
            #"inkstone_vae_decode_seconds_count{model="emoji-nano"} 2.0"#,
            #"inkstone_lora_loaded{model="emoji-nano"} 0.0"#,
        ] {
            #expect(metrics.contains("\n" + line + "\n"), "\(line)")
        }
        try server.wait("the line") {
            try server.text("access.log").contains(" n=2 steps=3 size=64x64 model=emoji-nano ")
        }
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
