// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import HTTPTypes
import Imaging
import NIOCore
import Service
import Testing

/// AUTOMATIC1111's and Gradio's dialects assume one user: each key is one of its own.
@Suite("Dialects by key", .timeLimit(.minutes(5)))
struct DialectAccessTests {
    /// Runs a test against a service with keys for two owners.
    private func withOwners(
        _ test:
            @Sendable (_ client: TestClient, _ ann: Owner, _ bob: Owner, FakeGenerator)
            async throws -> Void
    ) async throws {
        let temporary = try TemporaryStore()
        let keys = try KeyStore(folder: temporary.folder)
        let ann = try keys.add("ann", scope: .generate)
        let bob = try keys.add("bob", scope: .generate)
        let generator = try FakeGenerator(.hold)
        try await withGateway(generator, keys: keys) { client in
            try await test(
                client, Owner(client: client, key: ann), Owner(client: client, key: bob), generator)
        }
    }

    /// A client with a key.
    private struct Owner {
        let client: TestClient
        let key: String
        var headers: HTTPFields { [.authorization: "Bearer \(key)"] }

        func get(_ path: String) async throws -> TestResponse {
            try await client.get(path, headers: headers)
        }

        func post(_ path: String, _ body: String) async throws -> TestResponse {
            try await client.post(path, body, headers: headers)
        }

        /// The progress of AUTOMATIC1111's dialect.
        func progress() async throws -> (task: String, calls: Int, hasPreview: Bool) {
            let answer = try await get("/sdapi/v1/progress").object()
            let state = try #require(answer["state"] as? [String: Any])
            return (
                state["job"] as? String ?? "", state["job_count"] as? Int ?? 0,
                answer["current_image"] is String
            )
        }

        /// Waits for a preview of the call in progress.
        func waitForPreview() async throws {
            while try await !progress().hasPreview { try await Task.sleep(for: .milliseconds(2)) }
        }

        func state(of job: String) async throws -> String? {
            try await get("/api/jobs/\(job)").object()["state"] as? String
        }
    }

    private func id(_ answer: TestResponse) throws -> String {
        try #require(try answer.object()["id"] as? String)
    }

    // MARK: - AUTOMATIC1111

    @Test("progress and interruption are those of the key, also under the same task id")
    func a1111Calls() async throws {
        try await withOwners { _, ann, bob, generator in
            let body = #"{"prompt": "hold", "force_task_id": "same"}"#
            let first = Task { try await ann.post("/sdapi/v1/txt2img", body) }
            try await ann.waitForPreview()
            let idle = try await bob.progress()
            #expect(idle.task == "" && idle.calls == 0 && !idle.hasPreview)
            _ = try await bob.post("/sdapi/v1/interrupt", "")
            async let second = bob.post("/sdapi/v1/txt2img", body)
            try await bob.waitForPreview()
            for owner in [ann, bob] {
                let progress = try await owner.progress()
                #expect(progress.task == "same" && progress.calls == 1)
            }
            _ = try await bob.post("/sdapi/v1/skip", "")
            #expect(try await second.status.code == 499)
            #expect(try await ann.progress().task == "same")
            let answer = try await generator.resuming { try await first.value }
            #expect(answer.status == .ok)
        }
    }

    @Test("a task id that is another's job, or an own one of another dialect, does not reach it")
    func a1111TaskID() async throws {
        try await withOwners { _, ann, bob, generator in
            let foreign = try id(try await ann.post("/api/jobs", #"{"prompt": "hold"}"#))
            let own = try id(try await bob.post("/api/jobs", #"{"prompt": "hold"}"#))
            for job in [foreign, own] {
                async let call = bob.post(
                    "/sdapi/v1/txt2img", #"{"prompt": "hold", "force_task_id": "\#(job)"}"#)
                try await bob.waitForPreview()
                #expect(try await bob.progress().task == job)
                _ = try await bob.post("/sdapi/v1/interrupt", "")
                #expect(try await call.status.code == 499)
            }
            try await generator.resuming {
                for (owner, job) in [(ann, foreign), (bob, own)] {
                    let events = try await owner.get("/api/jobs/\(job)/events").text
                    #expect(events.contains("event: done"))
                    #expect(try await owner.state(of: job) == "succeeded")
                }
            }
        }
    }

    @Test("model and format are settings of the key")
    func a1111Options() async throws {
        try await withOwners { _, ann, bob, _ in
            let change = #"{"sd_model_checkpoint": "maker/large", "samples_format": "webp"}"#
            #expect(try await bob.post("/sdapi/v1/options", change).status == .ok)
            for (owner, model, format) in [
                (ann, "tiny", ImageFormat.png), (bob, "maker/large", .webp),
            ] {
                let options = try await owner.get("/sdapi/v1/options").object()
                #expect(options["sd_model_checkpoint"] as? String == model)
                let answer = try await owner.post("/sdapi/v1/txt2img", #"{"prompt": "x"}"#).object()
                let image = try #require((answer["images"] as? [String])?.first)
                let file = try #require(Data(base64Encoded: image))
                #expect(ImageFormat(sniffing: [UInt8](file)) == format)
                let info = try #require(answer["info"] as? String)
                #expect(info.contains(model))
            }
        }
    }

    @Test("a call that is interrupted before it is accepted is cancelled when it is")
    func a1111EarlyInterruption() {
        let state = A1111State()
        let (ann, bob) = (state.begin("t", of: "ann"), state.begin("t", of: "bob"))
        let none = state.begin("t", of: nil)
        #expect(state.interrupt("ann").isEmpty)
        #expect(state.accept(ann, of: "ann", as: "job-1"))
        #expect(!state.accept(bob, of: "bob", as: "job-2"))
        #expect(!state.accept(none, of: nil, as: "job-3"))
        #expect(state.interrupt("bob") == ["job-2"] && state.interrupt(nil) == ["job-3"])
        #expect(state.calls(of: "ann").map(\.job) == ["job-1"])
        state.end(ann, of: "ann")
        #expect(state.calls(of: "ann").isEmpty && state.calls(of: "bob").count == 1)
    }

    // MARK: - Gradio

    private func messages(_ answer: TestResponse) throws -> [[String: Any]] {
        try answer.text.components(separatedBy: "\n\n").dropLast().map { frame in
            let json = try JSONSerialization.jsonObject(with: Data(frame.dropFirst(6).utf8))
            return try #require(json as? [String: Any])
        }
    }

    /// Paths of the files that messages name.
    private func paths(_ answer: TestResponse) -> Set<String> {
        Set(answer.text.matches(of: /"path":"([^"]+)"/).map { String($0.output.1) })
    }

    @Test("two keys use one session name: each reads its own events, and fetches its own files")
    func gradioSession() async throws {
        try await withOwners { _, ann, bob, _ in
            var (events, files): ([String], [Set<String>]) = ([], [])
            for (owner, prompt) in [(ann, "a cat"), (bob, "a dog")] {
                let joined = try await owner.post(
                    "/gradio_api/queue/join", #"{"data": ["\#(prompt)"], "session_hash": "same"}"#)
                events.append(try #require(try joined.object()["event_id"] as? String))
            }
            for (owner, event) in zip([ann, bob], events) {
                let stream = try await owner.get("/gradio_api/queue/data?session_hash=same")
                let ids = try messages(stream).compactMap { $0["event_id"] as? String }
                #expect(ids.count > 3 && Set(ids) == [event])
                files.append(paths(stream))
            }
            for path in files[0] {
                #expect(try await ann.get("/gradio_api/file=\(path)").status == .ok, "\(path)")
            }
            // Equal previews of different owners are different files.
            for path in files[0].subtracting(files[1]) {
                let answer = try await bob.get("/gradio_api/file=\(path)")
                #expect(answer.status == .notFound, "\(path)")
            }
            #expect(!files[0].subtracting(files[1]).isEmpty && !files[0].isEmpty)
        }
    }

    @Test("previews are fetched by their owner, and by the path that the owner got")
    func gradioPreviews() async throws {
        try await withOwners { client, ann, bob, _ in
            _ = try await ann.post(
                "/gradio_api/queue/join", #"{"data": ["a cat"], "session_hash": "s"}"#)
            let stream = try await ann.get("/gradio_api/queue/data?session_hash=s")
            let previews = paths(stream).filter { $0.contains("/previews/") }
            #expect(!previews.isEmpty)
            for path in previews {
                #expect(try await ann.get("/gradio_api/file=\(path)").status == .ok)
                #expect(try await bob.get("/gradio_api/file=\(path)").status == .notFound)
                // Browsers send no key: the path has a permit.
                #expect(try await client.get("/gradio_api/file=\(path)").status == .ok)
                let changed = path.replacing("/previews/", with: "/previews//")
                let answer = try await client.get("/gradio_api/file=\(changed)")
                #expect(answer.status == .forbidden)
            }
        }
    }

    @Test("an event is cancelled by its owner only")
    func gradioCancel() async throws {
        try await withOwners { _, ann, bob, generator in
            let joined = try await ann.post(
                "/gradio_api/queue/join", #"{"data": ["hold"], "session_hash": "s"}"#)
            let event = try #require(try joined.object()["event_id"] as? String)
            let cancel = #"{"event_id": "\#(event)"}"#
            #expect(try await bob.post("/gradio_api/cancel", cancel).status == .ok)
            let stream = try await generator.resuming {
                try await ann.get("/gradio_api/queue/data?session_hash=s")
            }
            let end = try messages(stream).last { $0["msg"] as? String == "process_completed" }
            #expect(end?["success"] as? Bool == true)
        }
    }
}
