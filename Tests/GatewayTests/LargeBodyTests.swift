// Part of Inkstone. Licence: see LICENSE.

import Dispatch
import Engine
import Foundation
import Gateway
import HTTPTypes
import NIOCore
import Service
import Testing

/// Bodies that would take long to read: bounds, growth, and that they are processed apart.
@Suite("Large bodies", .serialized, .timeLimit(.minutes(5)))
struct LargeBodyTests {
    private let jobs = "/api/jobs"

    private func filled(_ piece: String, _ count: Int, _ separator: String = ",") -> String {
        Array(repeating: piece, count: count).joined(separator: separator)
    }

    // MARK: - Bounds

    @Test("a document has a bounded number of values, depth and length of keys")
    func bounds() async throws {
        try await withGateway(try FakeGenerator()) { client in
            for (extra, bound) in [
                ("[\(filled("{}", 100_000))]", "100000"),
                (String(repeating: "[", count: 40) + String(repeating: "]", count: 40), "32"),
                ("{\"\(String(repeating: "k", count: 257))\": 0}", "256"),
            ] {
                let answer = try await client.post(jobs, #"{"prompt": "p", "extra": \#(extra)}"#)
                #expect(answer.status == .badRequest)
                let error = try answer.error()
                #expect(error["code"] == "invalid_json")
                #expect(error["message"]?.contains(bound) == true, "\(error)")
            }
            let most = try await client.post(
                jobs, #"{"prompt": "p", "extra": [\#(filled("{}", 99_990))]}"#)
            #expect(most.status == .accepted)
            let kwargs = filled("{}", 100_000)
            let inside = try await client.post(
                jobs, #"{"prompt": "p", "kwargs": "{\"a\": [\#(kwargs)]}"}"#)
            #expect(try inside.error()["message"]?.contains("kwargs") == true)
        }
    }

    @Test("texts that are compared, LoRA files, and marks in a row are bounded")
    func texts() async throws {
        let long = String(repeating: "x", count: 5000)
        let marks = "e" + String(repeating: "\u{301}\u{323}", count: 40)
        try await withGateway(try FakeGenerator()) { client in
            for (fields, parameter) in [
                (#""size": "\#(long)""#, "size"), (#""model": "\#(long)""#, "model"),
                (#""response_format": "\#(long)""#, "response_format"),
                (#""loras": [\#(filled(#""pixel""#, 101))]"#, "loras"),
                (#""loras": "\#(filled("pixel", 101))""#, "loras"),
                (#""negative_prompt": "\#(marks)""#, "negative_prompt"),
            ] {
                let answer = try await client.post(
                    "/v1/images/generations", "{\"prompt\": \"p\", \(fields)}")
                #expect(answer.status == .badRequest, "\(parameter)")
                #expect(try answer.error()["param"] == parameter)
            }
            let tags = try await client.post(
                "/sdapi/v1/txt2img", #"{"prompt": "\#(filled("<lora:pixel:1>", 101, ""))"}"#)
            #expect(try tags.error()["param"] == "loras")
            let few = "e" + String(repeating: "\u{301}\u{323}", count: 20)
            let good = try await client.post("/v1/images/generations", #"{"prompt": "\#(few)"}"#)
            #expect(good.status == .ok)
        }
    }

    @Test("a text field of a form and its name are bounded")
    func formTexts() throws {
        func form(_ name: String, _ value: String) -> [UInt8] {
            Array(
                "--B\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n--B--"
                    .utf8)
        }
        #expect {
            try MultipartForm(
                form("a", String(repeating: "x", count: (1 << 20) + 1)), boundary: "B")
        } throws: {
            "\($0)".contains("1048576")
        }
        #expect {
            try MultipartForm(form(String(repeating: "x", count: 257), "1"), boundary: "B")
        } throws: {
            "\($0)".contains("256")
        }
    }

    // MARK: - Growth

    /// Checks that eight times as much work takes less than 24 times as long: quadratic work takes 64 times.
    private func expectLinear(
        _ name: String, _ work: (Int) async throws -> Void
    ) async throws {
        func best(_ size: Int) async throws -> Duration {
            var best = Duration.seconds(3600)
            for _ in 0..<3 {
                let start = ContinuousClock.now
                try await work(size)
                best = min(best, .now - start)
            }
            return best
        }
        try await expectGrowth(name, best)
    }

    /// The same for work without suspensions, by the processor time of this thread.
    private func expectLinearWork(_ name: String, _ work: (Int) throws -> Void) async throws {
        func now() -> Duration {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
        }
        try await expectGrowth(name) { size in
            var best = Duration.seconds(3600)
            for _ in 0..<3 {
                let start = now()
                try work(size)
                best = min(best, now() - start)
            }
            return best
        }
    }

    private func expectGrowth(
        _ name: String, _ best: (Int) async throws -> Duration
    ) async throws {
        var measured = ""
        // A busy machine may delay any measurement; quadratic work fails all of them.
        for _ in 0..<5 {
            let small = try await best(1)
            let large = try await best(8)
            // Below a millisecond the machine's noise decides.
            if large < max(small, .milliseconds(1)) * 24 { return }
            measured += " \(small), \(large);"
        }
        Issue.record("\(name):\(measured)")
    }

    @Test("reading JSON takes time in proportion to its length")
    func json() async throws {
        let marks = "\u{301}\u{323}"
        let documents: [(String, @Sendable (Int) -> String)] = [
            ("empty objects", { "[\(filled("{}", 12_000 * $0))]" }),
            ("objects", { "[\(filled(#"{"a":{}}"#, 6_000 * $0))]" }),
            ("numbers", { "[\(filled(String(repeating: "1", count: 1000), 300 * $0))]" }),
            ("escapes", { "\"\(filled("\\u00e9", 20_000 * $0, ""))\"" }),
            ("equal keys", { "{\(filled(#""a":0"#, 12_000 * $0))}" }),
            ("marks", { "{\"a\":\"\(filled(marks, 8_000 * $0, ""))\"}" }),
            ("keys of marks", { "{\(filled("\"\(filled(marks, 60, ""))\":0", 300 * $0))}" }),
        ]
        try await withGateway(try FakeGenerator()) { client in
            for (name, document) in documents {
                let bodies = [1, 8].map { (size: $0, text: "{\"extra\":\(document($0))}") }
                try await expectLinear(name) { size in
                    let body = bodies.first { $0.size == size }?.text ?? ""
                    let answer = try await client.post(jobs, body)
                    #expect(answer.status == .badRequest)
                }
            }
        }
    }

    @Test("reading fields takes time in proportion to their length")
    func fields() async throws {
        let marks = "\u{301}\u{323}"
        let names = [
            "prompt", "negative_prompt", "size", "model", "loras", "image", "mask", "seed",
        ]
        try await withGateway(try FakeGenerator()) { client in
            for name in names {
                try await expectLinear(name) { size in
                    let text = filled(marks, 4_000 * size, "")
                    let prompt = name == "prompt" ? "" : #""prompt": "p", "#
                    let answer = try await client.post(
                        jobs, #"{\#(prompt)"\#(name)": "e\#(text)"}"#)
                    #expect(answer.status == .badRequest, "\(name) \(answer.status)")
                }
            }
            try await expectLinear("LoRA tags") { size in
                let tags = filled("<lora:", 20_000 * size, "")
                let answer = try await client.post(
                    "/sdapi/v1/txt2img", #"{"prompt": "\#(tags)"}"#)
                #expect(answer.status == .unprocessableContent)
            }
        }
    }

    @Test("reading a form takes time in proportion to its length")
    func forms() async throws {
        let start = "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\n"
        for (name, piece) in [
            ("near boundaries", "\r\n--"), ("boundaries with a tail", "\r\n--Bx"),
            ("line ends", "\r\n"), ("carriage returns", "\r"), ("dashes", "-"),
        ] {
            let forms = [1, 8].map { size in
                (
                    size: size,
                    bytes: Array((start + filled(piece, 200_000 * size, "") + "\r\n--B--").utf8)
                )
            }
            try await expectLinearWork(name) { size in
                let bytes = forms.first { $0.size == size }?.bytes ?? []
                let form = try MultipartForm(bytes, boundary: "B")
                #expect(form.parts.count == 1)
            }
        }
    }

    // MARK: - Processed apart

    @Test("while large bodies wait for their threads, every other request is answered")
    func apart() async throws {
        let executor = WorkThreads.bodies
        let (begun, beginning) = AsyncStream<Void>.makeStream()
        let gate = DispatchSemaphore(value: 0)
        // Every thread of the executor waits here.
        let blockers = (0..<executor.width).map { _ in
            Task(executorPreference: executor) {
                beginning.yield()
                Self.wait(for: gate)
            }
        }
        var iterator = begun.makeAsyncIterator()
        for _ in 0..<executor.width { await iterator.next() }
        // More than are needed, also when an expectation fails.
        defer { for _ in 0..<executor.width { gate.signal() } }
        let large = "{\"prompt\": \"p\", \"user\": \"\(String(repeating: "x", count: 100_000))\"}"
        try await withGateway(try FakeGenerator()) { client in
            let waiting = Task { try await client.post("/v1/images/generations", large) }
            for path in ["/livez", "/readyz", "/health", "/metrics", "/v1/models"] {
                #expect(try await client.get(path).status == .ok)
            }
            let small = try await client.post("/v1/images/generations", #"{"prompt": "p"}"#)
            #expect(small.status == .ok)
            for _ in 0..<executor.width { gate.signal() }
            #expect(try await waiting.value.status == .ok)
        }
        for blocker in blockers { await blocker.value }
    }

    /// Waits for a signal on the thread of the caller.
    private static func wait(for gate: DispatchSemaphore) { gate.wait() }
}
