// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Testing

/// Files that a running server reads for clients: in processes of their own, and without showing others.
@Suite(.serialized, .timeLimit(.minutes(3))) struct UntrustedFileTests {
    private func body(_ answer: String) throws -> [String: Any] {
        let text = try #require(answer.components(separatedBy: "\r\n\r\n").last)
        let json = try JSONSerialization.jsonObject(with: Data(text.utf8))
        return try #require(json as? [String: Any])
    }

    @Test("LoRA files are read by other processes, and listed with their thumbnails")
    func thumbnails() throws {
        let folder = try TemporaryFolder()
        let loras = folder.url.appending(path: "data/loras")
        try FileManager.default.createDirectory(at: loras, withIntermediateDirectories: true)
        let image = try ImageEncoder.encode(
            try RGBImage(width: 300, height: 150, filledWith: (1, 2, 3)))
        let thumbnail = "data:image/png;base64," + Data(image).base64EncodedString()
        try SafetensorsFile.write(
            [NewTensor("a", shape: [2], .f32([1, 2]))],
            metadata: ["modelspec.thumbnail": thumbnail], to: loras.appending(path: "x.safetensors")
        )
        try Data("PK\u{3}\u{4}".utf8).write(to: loras.appending(path: "bad.safetensors"))
        let server = try RunningServer(in: folder)
        let rows = try body(try server.get("/api/loras"))["loras"] as? [[String: Any]] ?? []
        func row(_ name: String) -> [String: Any]? { rows.first { $0["name"] as? String == name } }
        let url = try #require(row("x")?["thumbnail"] as? String)
        #expect(url.hasPrefix("data:image/png;base64,"))
        #expect(row("x")?["bytes"] as? Int == 8)
        #expect(row("bad")?["thumbnail"] is NSNull && row("bad")?["bytes"] as? Int == 0)
    }

    #if os(Linux)
        @Test(
            "processes that read files of clients have limits of memory and time",
            arguments: ["read-lora", "decode-picture"])
        func limits(command: String) throws {
            let folder = try TemporaryFolder()
            let result = folder.path("result")
            let source =
                command == "read-lora"
                ? Program.model.appending(path: "loras/pixel.safetensors").path
                : folder.path("image.png")
            try Data(ImageEncoder.encode(RGBImage(width: 8, height: 8, filledWith: (1, 2, 3))))
                .write(to: folder.url.appending(path: "image.png"))
            // The process waits for a reader of its result.
            try #require(mkfifo(result, 0o600) == 0)
            let process = Process()
            process.executableURL = try Program.find()
            process.arguments = [command, source, result]
            process.environment = Program.environment(home: folder.url)
            try process.run()
            defer { kill(process.processIdentifier, SIGKILL) }
            func limit(_ name: String) throws -> Substring? {
                let path = "/proc/\(process.processIdentifier)/limits"
                let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
                let line = try #require(lines.first { $0.hasPrefix(name) })
                return line.dropFirst(name.count).split(separator: " ").first
            }
            let end = ContinuousClock.now + .seconds(30)
            while try limit("Max cpu time") != "60", ContinuousClock.now < end { usleep(1000) }
            #expect(process.isRunning)
            #expect(try limit("Max cpu time") == "60")
            #expect(try limit("Max data size") == "4294967296")
        }
    #endif

    @Test("at most four tasks of the catalog run")
    func tasks() throws {
        let folder = try TemporaryFolder()
        // Nothing listens there: each task repeats its request for half a minute.
        let server = try RunningServer(
            ["--model", Program.model.path], in: folder,
            environment: [
                "INKSTONE_MODELS": folder.path("models"), "HF_ENDPOINT": "http://127.0.0.1:1",
            ])
        for number in 1...5 {
            let answer = try server.post(
                "/api/catalog", #"{"repository": "owner/model", "name": "m\#(number)"}"#)
            #expect(answer.hasPrefix(number < 5 ? "HTTP/1.1 202 " : "HTTP/1.1 429 "), "\(answer)")
            #expect(number < 5 || answer.contains("too_many_tasks"))
        }
    }

    @Test("the reason of a launch that failed in the background does not show files")
    func launch() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            at: folder.url.appending(path: "private"), withIntermediateDirectories: true)
        try folder.write("text", to: "private/SECRET.txt")
        let server = try RunningServer(in: folder)
        let path = folder.url.appending(path: "private").path
        let answer = try server.post(
            "/v1/models?wait_ready=false",
            #"{"model_name": "x", "model_uid": "other", "model_path": "\#(path)"}"#)
        #expect(answer.hasPrefix("HTTP/1.1 200 OK"))
        var progress = ""
        try server.wait("the launch to fail") {
            progress = try server.get("/v1/models/other/progress")
            return progress.contains("failed")
        }
        let reason = try #require(try body(progress)["error"] as? String)
        #expect(reason.contains("is not a model folder that this server can use"))
        #expect(!reason.contains("SECRET"))
        #expect(try server.text("err").contains("SECRET"), "the operator reads the reason")
    }
}
