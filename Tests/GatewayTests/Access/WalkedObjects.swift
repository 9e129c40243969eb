// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import Imaging
import Testing

/// What one owner has in the service; without an owner, names of the same form that nothing has.
struct WalkedObjects: Sendable {
    /// A finished job that started from an image, and the id of its call.
    var job = "job-00000000000000000000"
    var call = "call-none"
    /// A job that runs until the generator goes on, and the id of its call.
    var running = "job-11111111111111111111"
    var runningCall = "run-none"
    /// A Gradio event that runs as long, and its session.
    var event = String(repeating: "0", count: 32)
    var session = "session-none"
    /// The name of a file of `response_format` `url`, and its signed address.
    var file = "job-22222222222222222222-0.png"
    var link: String?
    /// The signed path of Gradio's file.
    var gradioLink: String?
    /// A call of AUTOMATIC1111's dialect that runs as long; the status of its answer.
    var task = "task-none"
    var taskStatus: Task<Int, any Error>?
    /// A part of all prompts.
    var prompt = "no prompt at all"

    /// All names that no other owner may see.
    var secrets: [String] {
        [job, call, running, runningCall, event, session, file, task, prompt]
    }

    /// A text without these names, and without random ids.
    func masked(_ text: String) -> String {
        var text = text
        for (number, secret) in secrets.enumerated() {
            text = text.replacing(secret, with: "<\(number)>")
        }
        // Links expire by the second.
        return text.replacing(/[0-9a-f]{32}/, with: "<id>")
            .replacing(/expires=[0-9]+/, with: "expires=<time>")
    }

    /// Names that nothing has, other ones for each number.
    static func unknown(_ number: Int) -> WalkedObjects {
        var objects = WalkedObjects()
        objects.session += "-\(number)"
        return objects
    }

    /// Makes one of each for an owner.
    static func make(_ number: Int, for key: String, by walk: RouteWalk) async throws
        -> WalkedObjects
    {
        var objects = WalkedObjects()
        let name = "\(key.suffix(8))-\(number)"
        objects.prompt = "secret \(name)"
        (objects.call, objects.runningCall) = ("call-\(name)", "run-\(name)")
        (objects.session, objects.task) = ("session-\(name)", "task-\(name)")
        try await objects.finish(for: key, by: walk)
        try await objects.start(for: key, by: walk)
        return objects
    }

    private mutating func finish(for key: String, by walk: RouteWalk) async throws {
        let image = Data(
            try ImageEncoder.encode(try RGBImage(width: 32, height: 16, filledWith: (1, 2, 3)))
        ).base64EncodedString()
        let job = try await walk.send(
            .post,
            WalkedCall(
                "/api/jobs",
                body:
                    #"{"prompt": "\#(prompt)", "request_id": "\#(call)", "image": "\#(image)"}"#),
            as: key)
        self.job = try #require(try job.object()["id"] as? String)
        _ = try await state(of: self.job, in: ["succeeded"], by: walk, as: key)
        let generation = try await walk.send(
            .post,
            WalkedCall(
                "/v1/images/generations",
                body: #"{"prompt": "\#(prompt)", "response_format": "url"}"#), as: key)
        let rows = try #require(try generation.object()["data"] as? [[String: Any]])
        let url = try #require(rows.first?["url"] as? String)
        let name = try #require(url.split(separator: "/").last)
        file = String(name.prefix { $0 != "?" })
        link = "/v1/images/files/\(name)"
        let run = try await walk.send(
            .get, WalkedCall("/gradio_api/call/generate/\(self.job)"), as: key)
        let path = try #require(run.text.firstMatch(of: /"path":"([^"]+)"/)).output.1
        gradioLink = "/gradio_api/file=\(path)"
    }

    private mutating func start(for key: String, by walk: RouteWalk) async throws {
        let job = try await walk.send(
            .post,
            WalkedCall(
                "/api/jobs",
                body: #"{"prompt": "hold \#(prompt)", "request_id": "\#(runningCall)"}"#), as: key)
        running = try #require(try job.object()["id"] as? String)
        let join = try await walk.send(
            .post,
            WalkedCall(
                "/gradio_api/queue/join",
                body: #"{"data": ["hold \#(prompt)"], "session_hash": "\#(session)"}"#), as: key)
        event = try #require(try join.object()["event_id"] as? String)
        let body = #"{"prompt": "hold \#(prompt)", "force_task_id": "\#(task)"}"#
        taskStatus = Task {
            try await walk.send(.post, WalkedCall("/sdapi/v1/txt2img", body: body), as: key)
                .status.code
        }
        _ = try await state(of: running, in: ["running"], by: walk, as: key)
        while try await progress(by: walk, as: key).steps == 0 {
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Waits for a state of a job.
    func state(
        of job: String, in states: [String], by walk: RouteWalk, as key: String
    ) async throws -> String {
        while true {
            let answer = try await walk.send(.get, WalkedCall("/api/jobs/\(job)"), as: key).object()
            let state = try #require(answer["state"] as? String, "\(answer)")
            if states.contains(state) { return state }
            try #require(["queued", "running"].contains(state), "\(job) is \(state)")
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func progress(
        by walk: RouteWalk, as key: String
    ) async throws -> (task: String, steps: Int) {
        let answer = try await walk.send(.get, WalkedCall("/sdapi/v1/progress"), as: key).object()
        let state = try #require(answer["state"] as? [String: Any])
        return (state["job"] as? String ?? "", state["sampling_step"] as? Int ?? 0)
    }

    /// Expects everything to be there, and the calls to run.
    func expectUnchanged(_ route: String, by walk: RouteWalk, as key: String) async throws {
        for (job, expected) in [(job, "succeeded"), (running, "running")] {
            let answer = try await walk.send(.get, WalkedCall("/api/jobs/\(job)"), as: key)
            #expect(try answer.object()["state"] as? String == expected, "\(route)")
        }
        #expect(try await progress(by: walk, as: key).task == task, "\(route)")
    }

    /// Expects the calls to end with their images after the generator went on.
    func expectSuccess(_ route: String, by walk: RouteWalk, as key: String) async throws {
        let state = try await state(
            of: running, in: ["succeeded", "cancelled"], by: walk, as: key)
        #expect(state == "succeeded", "\(route)")
        #expect(try await taskStatus?.value == 200, "\(route)")
    }
}
