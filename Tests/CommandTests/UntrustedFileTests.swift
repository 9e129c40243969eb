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
