// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import Gateway
import HTTPTypes
import Service
import Synchronization
import Testing

/// What a launch says about files of the machine.
@Suite("Paths of launches", .timeLimit(.minutes(5)))
struct LaunchPathTests {
    /// Folders with things that are not models, with names and contents that no answer may have.
    private final class Machine: Sendable {
        let root = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-launch-\(UUID().uuidString)")

        init() throws {
            for (path, text) in [
                ("listed/SECRET-plan.txt", "CONTENT"), ("pickle/SECRET.bin", "PK\u{3}\u{4}CONTENT"),
                ("index/model_index.json", #"{"_class_name": "SECRET"}"#),
                ("broken/model_index.json", "SECRET{"), ("part/config.json", "{}"),
                ("weights/SECRET.safetensors", "<html>CONTENT"),
                ("file.safetensors", "{\"CONTENT\""), ("models/mine/inkstone.json", "SECRET"),
            ] {
                let url = root.appending(path: path)
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: url)
            }
            try FileManager.default.createDirectory(
                at: root.appending(path: "empty"), withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(at: root) }

        var locator: ModelLocator {
            ModelLocator(environment: ["INKSTONE_MODELS": root.appending(path: "models").path])
        }
    }

    private static let others = [
        "listed", "pickle", "index", "broken", "part", "weights", "file.safetensors", "empty",
        "missing", "listed/SECRET-plan.txt", "models/../listed", "weights/SECRET.safetensors",
    ]

    private func launch(
        _ client: TestClient, _ path: String, _ fields: String = "", headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        try await client.post(
            "/v1/models", #"{"model_name": "x", "model_path": "\#(path)"\#(fields)}"#,
            headers: headers)
    }

    @Test("about paths outside the folders of models all answers are the same", arguments: others)
    func outside(path: String) async throws {
        let machine = try Machine()
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        let root: HTTPFields = [.authorization: "Bearer \(try keys.add("root", scope: .admin))"]
        let logs = LogRecorder()
        for headers in [[:], root] {
            try await withGateway(
                try FakeGenerator(), keys: headers.isEmpty ? nil : keys, logs: logs,
                configure: { $0.locator = machine.locator }
            ) { client in
                let full = machine.root.appending(path: path).path
                let answer = try await launch(client, full, headers: headers)
                #expect(answer.status == .badRequest)
                let error = try answer.error()
                #expect(error["code"] == "model_unusable")
                // The client's own path is the only thing that differs.
                let text = (error["message"] ?? "").replacing(/"\/[^"]*"/, with: "PATH")
                #expect(
                    text == "PATH is not a model folder that this server can use; its log has the"
                        + " reason.")
            }
        }
        let reasons = logs.lines.all.withLock {
            $0.filter { $0.message == "a model was not launched" }
        }
        #expect(reasons.count == 2)
    }

    @Test("in a folder of models the answer says what is wrong, without the folder's path")
    func inside() async throws {
        let machine = try Machine()
        try await withGateway(
            try FakeGenerator(), configure: { $0.locator = machine.locator }
        ) { client in
            let path = machine.root.appending(path: "models/mine").path
            for fields in [
                #"{"model_name": "mine"}"#, #"{"model_name": "x", "model_path": "\#(path)"}"#,
                #"{"model_name": "\#(path)"}"#,
            ] {
                let answer = try await client.post("/v1/models", fields)
                #expect(answer.status == .badRequest)
                let message = try answer.error()["message"] ?? ""
                #expect(message.contains("inkstone.json"))
                #expect(!message.contains(machine.root.path))
            }
        }
    }

    @Test(
        "devices are those of the command line, or numbers of GPUs",
        arguments: [
            (#""device": "cuda:0""#, "device must be auto, cpu, vulkan"),
            (#""device": "vulkan:0,""#, "device must be auto, cpu, vulkan"),
            (#""device": "vulkan:a\u0000b""#, "device must be auto, cpu, vulkan"),
            (#""gpu_idx": "all""#, "gpu_idx must be a list of numbers of GPUs"),
            (#""gpu_idx": [0, -1]"#, "gpu_idx must be numbers from 0 to 63, got -1"),
            (#""gpu_idx": [1.5]"#, "gpu_idx must be an integer"),
        ])
    func devices(field: String, message: String) async throws {
        try await withGateway(try FakeGenerator()) { client in
            let answer = try await client.post(
                "/v1/models", #"{"model_name": "emoji-nano", \#(field)}"#)
            #expect(answer.status == .badRequest)
            #expect(try answer.error()["message"]?.contains(message) == true)
        }
    }

    @Test("without keys, other machines may name the server's models only")
    func remote() async throws {
        let machine = try Machine()
        try await withGateway(
            try FakeGenerator(),
            configure: {
                $0.locator = machine.locator
                $0.host = "0.0.0.0"
                $0.allowRemoteWithoutKeys = true
                $0.modelFolders = [machine.root.appending(path: "empty")]
            }
        ) { client in
            for path in Self.others where path != "empty" {
                let answer = try await launch(client, machine.root.appending(path: path).path)
                #expect(answer.status == .forbidden, "\(path)")
                #expect(try answer.error()["code"] == "path_not_allowed")
            }
            // A LoRA file is read as well.
            let lora = machine.root.appending(path: "file.safetensors").path
            let answer = try await client.post(
                "/v1/models",
                #"{"model_name": "mine", "peft_model_config": {"lora_list": [{"local_path": "\#(lora)"}]}}"#
            )
            #expect(answer.status == .forbidden)
            // The command line named this one.
            let named = try await launch(client, machine.root.appending(path: "empty").path)
            #expect(named.status == .badRequest)
            // A name is not a path relative to the server's folder.
            let relative = try await client.post("/v1/models", #"{"model_name": "Sources"}"#)
            #expect(relative.status == .notFound)
        }
    }
}
